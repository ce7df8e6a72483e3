"""What is tried next and who continues: pure decisions."""
