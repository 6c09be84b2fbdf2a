"""A SageMaker that speaks SageMaker's own protocol and really runs what it is asked to run."""
