"""Files scored by the same validator and predictor as requests: CSV and Parquet, resumable."""
