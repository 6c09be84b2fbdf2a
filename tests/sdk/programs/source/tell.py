"""A function for a pipeline's Lambda step, as anyone's."""


def handler(event, context):
    return {"text": f"{event['best']} scored {event['scored']}"}
