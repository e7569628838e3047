"""Plain HTTP servers around models; they know nothing of the gateway.

From the inside out: ``contract`` says what a model is asked and answers, ``models`` which there are
and what they learn from, ``predictors`` how they answer, ``protocols`` how that is said in bytes,
``serving`` who says it over HTTP, ``training`` where what was learned comes from.
"""
