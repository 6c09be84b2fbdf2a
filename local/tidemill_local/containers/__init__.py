"""
What stands in for AWS's own container images: programs that follow the container contract.

Each runs as a process of its own, `python -m tidemill_local.containers <image> train|serve`, finds
everything below SAGEMAKER_BASE_DIR (/opt/ml when it is not set), and knows nothing of the service.
"""
