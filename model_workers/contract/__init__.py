"""What a model is asked and answers, declared once: features, outputs, and the check of both."""
