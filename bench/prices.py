"""
List prices of what an upload takes, us-east-1, without any free tier, as of 2026-11-20.

What a price is, and how far it is to be trusted, is said in `tidemill.prices`.
"""

from tidemill.prices import Price

PRICES = {
    "EventBridge": Price(1.00e-6, "S3 event", "aws.amazon.com/eventbridge/pricing, opt-in events"),
    "SQS": Price(0.40e-6, "request", "aws.amazon.com/sqs/pricing, standard queue"),
    "Lambda requests": Price(0.20e-6, "request", "aws.amazon.com/lambda/pricing", read=True),
    "Lambda time": Price(13.3334e-6, "GB-s", "aws.amazon.com/lambda/pricing, arm64", read=True),
    "S3 GET": Price(0.40e-6, "request", "aws.amazon.com/s3/pricing, GET and others"),
    "S3 PUT": Price(5.00e-6, "request", "aws.amazon.com/s3/pricing, PUT, COPY, POST, LIST"),
    "DynamoDB writes": Price(0.625e-6, "write unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "DynamoDB reads": Price(0.125e-6, "read unit", "aws.amazon.com/dynamodb/pricing/on-demand"),
    "Step Functions": Price(
        25.0e-6, "transition", "aws.amazon.com/step-functions/pricing", read=True
    ),
    "Logs": Price(0.50, "GB", "aws.amazon.com/cloudwatch/pricing, ingestion"),
}
#: The pattern that this replaces: one Standard execution of six transitions for each upload.
DIRECT_DOLLARS_PER_MILLION = 155.0
#: Lambda's pollers take and delete at most ten messages a request, whatever the batch.
POLLED_MESSAGES = 10
