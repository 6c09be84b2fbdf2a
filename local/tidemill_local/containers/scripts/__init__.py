"""
Script mode: a user's own program in an image that brings the surroundings.

What a training script sees is what the `sagemaker-training` toolkit shows it, and a serving script
is called as the `sagemaker-inference` toolkit calls it. Standard library only (numpy for serving),
so that a script may run in any Python that its libraries are installed in, from 3.10 on.
"""
