"""Search of hyperparameters: trials of other configurations on the same data, the hopeless ended early."""
