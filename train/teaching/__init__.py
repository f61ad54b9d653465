"""Teachers: fine-tuning of transformers, and distillation."""
