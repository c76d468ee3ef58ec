"""What a portal holds besides the CRM, workflows and tasks: lists, timelines, notifications."""
