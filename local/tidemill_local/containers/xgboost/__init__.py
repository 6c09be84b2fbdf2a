"""The built-in XGBoost algorithm, as SageMaker's `sagemaker-xgboost` image offers it."""
