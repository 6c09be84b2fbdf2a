import json

from tidemill_local.engine.schedule_inputs import filled

ARN = "arn:aws:scheduler:us-east-1:000000000000:schedule/tidemill/s--0"
EVENT = {"Source": "aws.scheduler", "Time": 1_795_168_800.7, "Resources": [ARN], "EventId": "e-1"}


def test_the_words_of_a_schedule_s_input_are_filled_in():
    words = {"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}
    target = filled({"Arn": "f", "Input": json.dumps(words)}, EVENT)
    assert json.loads(target["Input"]) == {"at": "2026-11-20T10:00:00Z", "by": ARN}


def test_other_events_and_inputs_are_left_alone():
    target = {"Arn": "f", "Input": "<aws.scheduler.scheduled-time>"}
    assert filled(target, EVENT | {"Source": "aws.s3"}) == target
    assert filled({"Arn": "f"}, EVENT) == {"Arn": "f"}
