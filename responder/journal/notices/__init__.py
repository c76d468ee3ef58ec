"""What is told outside of the portal: alarms, what asks for approval, and the outbox."""
