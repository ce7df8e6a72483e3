"""What people read: the live view, the preview, the result."""
