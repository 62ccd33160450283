"""A LoRA adapter for a small model: data set, training, export, and the proof that the served model is the trained one."""
