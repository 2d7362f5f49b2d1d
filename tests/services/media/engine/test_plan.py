"""Where videos are cut, and what the playlists say of the pieces."""

import heapq
from dataclasses import replace
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.engine import preparation
from services.media.engine.captions import CaptionResult
from services.media.engine.cost import decode_seconds, sound_seconds
from services.media.engine.index import Index, IndexDraft
from services.media.engine.limits import Limits
from services.media.engine.media import Audio, Media
from services.media.engine.plan import LADDER, Plan, Rendition, Wanted, make_plan, unsplit
from services.media.engine.playlist import caption_playlist, master_playlist, picture_playlist, playable, sound_playlist
from services.media.engine.reader import BLOCK, Reader
from tests.services.media.engine.inputs import Recipe, Sound, make, small, uneven
from tests.services.media.engine.oracle import look
from tests.services.media.engine.pipeline import LOSSLESS, Bytes, prepare, recut
from tests.services.media.engine.test_picture import UHD

NTSC_STEP = 1001


def media_of(size: tuple[int, int] = (1280, 720)) -> Media:
    video = replace(UHD, width=size[0], height=size[1])
    return Media(
        "mov,mp4", 1 << 30, Fraction(3600), indexed=True, makes_times=False, video=video, audio=(), captions=()
    )


def index_of(frames: int, every: int) -> Index:
    times = tuple(NTSC_STEP * k for k in range(frames))
    return Index(
        times, tuple(1000 * k for k in range(frames)), (1000,) * frames, times[::every], NTSC_STEP, is_exact=True
    )


def seconds(plan: Plan) -> list[float]:
    return [round(float((each.end - each.start) * plan.media.video.time_base), 1) for each in plan.segments]


@pytest.mark.parametrize(
    ("frames", "every", "wanted", "expected"),
    [
        (1800, 60, Wanted((LADDER[1],)), [4.0, 10.0, 10.0, 8.0, 10.0, 12.0, 6.0]),
        (1800, 1800, Wanted((LADDER[1],)), [4.6, 9.2, 9.2, 9.2, 9.2, 12.1, 6.4]),
        (90, 60, Wanted((LADDER[1],)), [3.0]),
        (30, 30, Wanted((LADDER[1],)), [1.0]),
        (1, 1, Wanted((LADDER[1],)), [0.0]),
        (1800, 60, Wanted((LADDER[1],), parallel=100, startup_seconds=6.0), [8.0, 18.0, 16.0, 18.0]),
        (300, 300, Wanted((LADDER[1],), parallel=100), [1.1, 2.2, 2.2, 2.2, 2.2]),
    ],
    ids=["keyframes near", "one group", "short", "shorter", "one frame", "dear start", "one round"],
)
def test_pieces_are_equal_but_the_first_and_where_workers_end_the_last(frames, every, wanted, expected):
    plan = make_plan(media_of(), index_of(frames, every), wanted)

    assert seconds(plan) == expected


@pytest.mark.parametrize(("pace", "expected"), [(0.5, 7), (1.0, 11), (2.0, 24)])
def test_on_a_slow_core_there_are_more_pieces_where_none_may_take_long(pace, expected):
    plan = make_plan(media_of(), index_of(18_000, 60), Wanted((LADDER[1],), pace=pace))

    assert len(plan.segments) == expected


def ends(plan: Plan, wanted: Wanted) -> list[float]:
    """Return when each worker will have nothing more to do: each takes the next segment when it is free."""
    free = [0.0] * wanted.parallel
    for work in (sound_seconds(plan.media), *(segment.cost for segment in plan.segments)):
        heapq.heapreplace(free, free[0] + wanted.startup_seconds + work)
    return free


@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize("parallel", [2, 3, 5])
@pytest.mark.parametrize("every", [1, 30, 60, 120, 4500])
def test_all_workers_end_at_the_same_time(every, parallel, tracks):
    """But for what is less than a start, or than decoding what is before a cut: then they wait for a keyframe."""
    sound = Audio(1, "aac", 48000, 2, Fraction(0), "", "")
    media = replace(media_of(), audio=(sound,) * tracks, duration=Fraction(150))
    wanted = Wanted((LADDER[1],), parallel=parallel)

    plan = make_plan(media, index_of(4500, every), wanted)

    frame = plan.cost / 4500
    share = decode_seconds(media.video, 1000) / frame
    found = ends(plan, wanted)
    assert max(found) - sum(found) / parallel <= wanted.startup_seconds + 2 * (1 + share * every) * frame


@given(st.integers(1, 5000), st.integers(1, 400), st.integers(1, 200), st.floats(0, 10))
def test_every_frame_is_in_exactly_one_piece(frames, every, parallel, startup):
    index = index_of(frames, every)

    plan = make_plan(media_of(), index, Wanted((LADDER[2],), parallel, startup))

    assert [time for segment in plan.segments for time in segment.times()] == list(index.times)
    assert all(later.start == earlier.end for earlier, later in zip(plan.segments, plan.segments[1:], strict=False))
    assert all(segment.cost <= 40 for segment in plan.segments)
    for segment in plan.segments:
        first = segment.seeks[0]
        assert first is None or (first <= segment.start and first in index.keys)


@pytest.mark.parametrize(
    ("times", "is_exact"),
    [
        ([0, 1001, 2002], True),
        ([0, 2002, 1001], True),
        ([0, 1001, 1001], False),
        ([0, None, 1001], False),
        ([1001], False),
    ],
    ids=["in order", "reordered", "one time twice", "no time", "not the first frame"],
)
def test_what_cannot_be_cut_exactly_runs_unsplit(times, is_exact):
    draft = IndexDraft(media_of(), Limits())
    for time in times:
        packet = av.Packet(b"frame")
        packet.pts, packet.is_keyframe = time, True
        draft.add(packet)

    plan = make_plan(media_of(), draft.finish(), Wanted((LOSSLESS,)))

    assert (plan.is_exact, plan.segments[0].frames) == (is_exact, len(times) if is_exact else 0)


def test_unsplit_plan_makes_whatever_can_be_decoded_in_files_that_fit_into_memory(monkeypatch):
    monkeypatch.setattr("services.media.engine.segment.UNSPLIT_FILE_SECONDS", 1)
    content = make(Recipe("unsplit", frames=60, sounds=(Sound(2.0),)))
    run = prepare(content)
    run.plan = unsplit(run.plan)

    result = run.transcode(0)

    assert (result.frames, len(result.made)) == (60, 2)
    assert look(run.mp4(LOSSLESS.name)) == look(content)
    text = picture_playlist(run.plan, run.plan.outputs[0], run.results, lambda name: name)
    assert [line for line in text.splitlines() if line.endswith(".m4s")] == [each.name for each in result.made]


def test_plan_of_an_mp4_reads_its_header_only():
    content = make(small("header", frames=240, options={"preset": "ultrafast", "qp": "8", "g": "30"}, size=(320, 180)))
    source = Bytes(content)

    plan = preparation.prepare(Reader(source), wanted=Wanted(), limits=Limits()).plan

    assert plan is not None
    assert sum(segment.frames for segment in plan.segments) == 240
    assert len(content) > 60 * BLOCK
    assert source.read <= 8 * BLOCK


def test_no_fragment_is_longer_than_the_playlist_promises():
    content = make(small("slow", time_base=Fraction(1, 90000), time=lambda n: 80 * uneven(n), frames=40))
    run = recut(prepare(content, Rendition("slow", 480)), [0, 13, 25])
    for segment in run.plan.segments:
        run.transcode(segment.number)

    fragments = [fragment for result in run.results for fragment in result.made[0].fragments]
    assert sum(fragment.ticks for fragment in fragments) == run.plan.segments[-1].end - run.plan.segments[0].start
    longest = max(fragment.ticks / run.plan.timescale for fragment in fragments)
    assert 6 < longest <= run.plan.fragment_seconds + 0.5


@pytest.fixture(scope="module")
def run():
    content = make(Recipe("playlists", frames=150, sounds=(Sound(5.0), Sound(4.0))))
    made = recut(prepare(content, Rendition("480p", 480)), [0, 60, 120])
    for number in (2, 0, 1):
        made.transcode(number)
    return made


@pytest.mark.parametrize(
    ("arrived", "numbers", "ends"),
    [([], [], False), ([2], [], False), ([2, 0], [0], False), ([0, 0, 1], [0, 1], False), ([2, 1, 0], [0, 1, 2], True)],
)
def test_playlist_grows_in_order_and_ends_when_whole(run, arrived, numbers, ends):
    results = [next(each for each in run.results if each.number == number) for number in arrived]

    text = picture_playlist(run.plan, run.plan.outputs[0], results, lambda name: f"/v/{name}?s=1")

    lines = text.splitlines()
    names = [f"/v/480p/{number:05}.m4s?s=1" for number in numbers]
    assert list(dict.fromkeys(line for line in lines if line.endswith(".m4s?s=1"))) == names
    assert ("#EXT-X-ENDLIST" in lines, lines[3]) == (ends, "#EXT-X-PLAYLIST-TYPE:EVENT")
    assert '#EXT-X-MAP:URI="/v/480p/init.mp4?s=1"' in lines
    assert [each.number for each in playable(run.plan, results)] == numbers


def test_byte_ranges_cover_each_file(run):
    for result in run.results:
        (made,) = result.made
        offset = 0
        for fragment in made.fragments:
            assert fragment.offset == offset
            assert run.files[made.name][offset + 4 : offset + 8] == b"moof"
            offset += fragment.size
        assert offset == made.bytes == len(run.files[made.name])


def test_master_names_every_rendition_and_track(run):
    text = master_playlist(run.plan, run.results, run.tracks.audio, [], lambda name: name)

    lines = text.splitlines()
    assert [line.split(",")[2] for line in lines if line.startswith("#EXT-X-MEDIA")] == [
        'NAME="Sound 1"',
        'NAME="Sound 2"',
    ]
    (stream,) = (line for line in lines if line.startswith("#EXT-X-STREAM-INF"))
    assert 'CODECS="avc1.64000b,mp4a.40.2",RESOLUTION=160x90,FRAME-RATE=29.970,AUDIO="audio"' in stream
    assert lines[-1] == "480p.m3u8"


def test_sound_playlist_is_as_long_as_the_sound(run):
    text = sound_playlist(run.plan, run.tracks.audio[0], lambda name: name)

    lengths = [float(line[8:-1]) for line in text.splitlines() if line.startswith("#EXTINF:")]
    assert sum(lengths) == pytest.approx(5.0, abs=1e-5)
    assert text.endswith("#EXT-X-ENDLIST\n")


def test_caption_playlist_is_as_long_as_the_video(run):
    text = caption_playlist(run.plan, CaptionResult("captions-0.vtt", 2, "de", "", 3), lambda name: name)

    assert "#EXTINF:5.005000,\ncaptions-0.vtt\n" in text
