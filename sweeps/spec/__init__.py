"""What is asked: a sweep's file, checked, and its search space."""
