from ingest.remembered import Remembered


def test_what_a_topic_says_is_worked_out_once():
    asked = []
    remembered = Remembered(lambda topic: asked.append(topic) or topic.upper(), 10)
    assert [remembered["a"], remembered["a"], remembered["b"]] == ["A", "A", "B"]
    assert asked == ["a", "b"]


def test_topics_beyond_the_number_and_long_ones_leave_nothing_behind():
    remembered = Remembered(len, 100)
    assert all(remembered[f"{n}{'x' * 65_000}"] > 65_000 for n in range(50))
    assert len(remembered) == 0
    assert all(remembered[str(n)] for n in range(1_000))
    assert len(remembered) <= 100
