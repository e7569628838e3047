"""Plain HTTP servers around scikit-learn models; they know nothing of the gateway."""
