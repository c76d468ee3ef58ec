"""What is told in the portal of decisions: kept until it is sent, and shown afterwards."""
