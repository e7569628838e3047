"""Ways to an answer: rules, what scikit-learn learned, or nothing but the contract."""
