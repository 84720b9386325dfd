"""What was, is and will be, of all tools together: the overview."""
