"""Why a model answered what it did: beside the predictions, never on their way."""
