"""Teachers: fine-tuning a transformer, and learning from teachers' answers."""
