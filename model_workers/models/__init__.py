"""Which models there are: the contract, the data and the recipes of each."""
