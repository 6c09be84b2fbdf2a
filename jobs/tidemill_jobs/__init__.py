"""What runs inside SageMaker: prepare, train, evaluate, serve."""
