# SPDX-License-Identifier: Apache-2.0
"""Images that are no local file: what the wrapper has the runtime pull, what is run then, what is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from testbed.cluster.scripted import ScriptedAgent, Step

pytestmark = pytest.mark.native
REPOSITORY = Path(__file__).resolve().parents[2]
URI = "docker://127.0.0.1:5055/demo:1"
RUNTIME = """\
#!/bin/sh
# The runtime: `pull` makes an image and keeps a copy in the cache; anything else tells how it was called.
for word; do [ "$word" = pull ] && pulls=1; last=$before before=$word; done
if [ -z "$pulls" ]; then
	printf '%s\\n' "$@" >"$PLACE/launched"
	for word; do [ -f "$word" ] && cp "$word" "$PLACE/image"; done
	for fd in /proc/self/fd/*; do readlink "$fd"; done >"$PLACE/descriptors"
	exit 3
fi
printf '%s\\n' "$@" >>"$PLACE/pulled"
printf '%s\\n' "$APPTAINER_TMPDIR" >"$PLACE/tmpdir"
readlink /proc/self/fd/0 >"$PLACE/input"
echo pulling
mkdir -p "$APPTAINER_TMPDIR/rootfs/locked" && chmod 0 "$APPTAINER_TMPDIR/rootfs/locked"
eval "$DURING"
head -c 40000 /dev/urandom >"$last"
[ -d "$PLACE/cache/cache/oci-tmp" ] && cp "$last" "$PLACE/cache/cache/oci-tmp/4843a9"
exit "${PULL_EXIT:-0}"
"""


class Scene:
    """The wrapper around a runtime that pulls, with a cache and a directory for temporary files of its own."""

    def __init__(self, wrapper: Path, place: Path, socket: Path) -> None:
        self.place = place
        self.socket = socket
        self.program = place / "apptainer"
        self.cached = place / "cache/cache/oci-tmp/4843a9"
        self.tmp = place / "tmp"
        self.tmp.mkdir()
        self.cached.parent.mkdir(parents=True)
        (self.cached.parent / "tmp_1").write_bytes(b"\0" * 40000)
        (self.cached.parent / "other").write_bytes(b"\0" * 40000)
        self.program.write_bytes(wrapper.read_bytes())
        self.program.chmod(0o755)
        real = place / "apptainer.real"
        real.write_text(RUNTIME)
        real.chmod(0o755)

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a launch."""
        variables = {
            "PATH": os.environ["PATH"],
            "PLACE": str(self.place),
            "TMPDIR": str(self.tmp),
            "APPTAINER_CACHEDIR": str(self.place / "cache"),
            "ASAN_OPTIONS": "detect_leaks=0",
            **(env or {}),
        }
        return subprocess.Popen(
            [str(self.program), *words],
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        """Run a launch to its end; return exit code and both streams."""
        running = self.start(*words, env=env)
        output, error = running.communicate(timeout=30)
        return running.returncode, output, error

    def told(self, name: str) -> list[str]:
        """Return the lines of what the runtime has written down."""
        path = self.place / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def leftovers(self) -> list[str]:
        """Return what lies in the directory for temporary files."""
        return sorted(path.name for path in self.tmp.iterdir())

    def await_no_leftovers(self) -> None:
        """Wait until nothing is left; fails after two seconds."""
        end = time.monotonic() + 2
        while self.leftovers and time.monotonic() < end:
            time.sleep(0.01)
        assert self.leftovers == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wrapper, built with sanitizers, which asks at `agent.sock` beside it."""
    out = tmp_path_factory.mktemp("wrapper-pull")
    client = REPOSITORY / "plugin/client"
    words = ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{client}"]
    places = {"SOCKET": out / "agent.sock", "POSTURE": out / "posture", "RUN_JUDGED": out / "run-judged"}
    defines = [f'-DSIFGATE_{key}="{path}"' for key, path in places.items()]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = [*sorted((REPOSITORY / "hooks/wrapper").glob("*.c")), *sorted(client.glob("*.c"))]
    subprocess.run([*words, *sanitizers, *defines, *sources, "-o", out / "wrapper"], check=True)
    return out / "wrapper"


@pytest.fixture
def scene(built: Path, tmp_path: Path) -> Iterator[Scene]:
    """Return a scene; afterwards everything in it can be removed."""
    yield Scene(built, tmp_path, built.with_name("agent.sock"))
    subprocess.run(["chmod", "-R", "u+rwx", tmp_path], check=True)


def script(word: int, action: str = "allow") -> list[Step]:
    """Return an agent's turns: have the word pulled, then decide."""
    return [("pull", URI, str(word)), ("decide", action, {"word": str(word), "notice": "sifgate: no"})]


def test_the_cached_file_is_judged_and_run(scene: Scene) -> None:
    """Only the image's word changes; nothing temporary is left; the runtime's output goes to standard error."""
    with ScriptedAgent(scene.socket, script(2)) as agent:
        code, output, error = scene.run("exec", URI, "echo", URI)
    assert (code, output, error) == (3, "", "pulling\nsifgate: no\n")
    assert scene.told("launched") == ["exec", str(scene.cached), "echo", URI]
    assert agent.opened == [("", scene.cached.read_bytes()[:64])]
    assert scene.leftovers == []
    assert scene.told("input") == ["/dev/null"]
    strange = ("inode", "socket", "sifgate-pull", "oci-tmp")
    assert [line for line in scene.told("descriptors") if any(part in line for part in strange)] == []


def test_the_pull_has_the_users_flags_and_no_others(scene: Scene) -> None:
    """Root flags as they stand; of the command's flags those that say where from and as whom."""
    credentials = "--docker-username me --docker-password=x"
    words = f"-q --config /c exec --no-https -B /a:/b {credentials} --nv --authfile /f {URI} true".split()
    with ScriptedAgent(scene.socket, script(words.index(URI) + 1)):
        scene.run(*words)
    directory = scene.told("tmpdir")[0].removesuffix("/tmp")
    kept = f"-q --config /c pull --no-https {credentials} --authfile /f --force --dir /"
    assert scene.told("pulled") == [*kept.split(), "--", f"{directory}/image.sif", URI]
    assert Path(directory).parent == scene.tmp


def test_the_copy_of_a_cached_file_is_not_waited_for(scene: Scene) -> None:
    """Once the runtime reads the file in its cache to write the copy, all is known: neither time nor room for it."""
    scene.cached.write_bytes(b"cached" * 8000)
    during = 'exec 8<$PLACE/cache/cache/oci-tmp/4843a9 9>"${last%/*}/tmp-copy-1"; exec sleep 60'
    began = time.monotonic()
    with ScriptedAgent(scene.socket, script(2)) as agent:
        assert scene.run("exec", URI, env={"DURING": during})[0] == 3
    assert time.monotonic() - began < 2
    assert (scene.told("launched")[1], agent.opened) == (str(scene.cached), [("", (b"cached" * 11)[:64])])
    assert scene.leftovers == []


def test_without_a_cache_the_pulled_file_itself_is_run(scene: Scene) -> None:
    """It keeps its name as long as the launch lasts, and goes with it."""
    scene.cached.parent.joinpath("other").unlink()
    scene.cached.parent.joinpath("tmp_1").unlink()
    scene.cached.parent.rmdir()
    with ScriptedAgent(scene.socket, script(2)) as agent:
        assert scene.run("exec", URI)[0] == 3
    assert scene.told("launched")[1].startswith(f"{scene.tmp}/sifgate-pull-")
    assert agent.opened == [("", (scene.place / "image").read_bytes()[:64])]
    scene.await_no_leftovers()


def test_disable_cache_does_not_look_into_it(scene: Scene) -> None:
    """The user does not want what lies there to be used."""
    with ScriptedAgent(scene.socket, script(3)):
        scene.run("exec", "--disable-cache", URI)
    assert scene.told("launched")[2].startswith(f"{scene.tmp}/sifgate-pull-")
    scene.await_no_leftovers()


def test_a_refused_image_is_not_run_and_leaves_nothing(scene: Scene) -> None:
    """Neither in the cache's case nor without one."""
    for words in (["exec", URI], ["exec", "--disable-cache", URI]):
        with ScriptedAgent(scene.socket, script(len(words), "block")):
            code, _, error = scene.run(*words)
        assert (code, error.splitlines()[-1], scene.told("launched")) == (255, "sifgate: no", [])
        scene.await_no_leftovers()


def test_a_pull_that_fails_is_the_agents_to_judge(scene: Scene) -> None:
    """It hears why; where it allows, the runtime gets the words as they were and says what is wrong itself."""
    with ScriptedAgent(scene.socket, script(2)) as agent:
        scene.run("exec", URI, env={"DURING": "exit 9"})
    assert (agent.opened, agent.reasons) == ([("5", b"")], ["the pull ended with exit code 9"])
    assert (scene.told("launched"), scene.leftovers) == (["exec", URI], [])


def test_a_word_that_is_another_is_not_pulled(scene: Scene) -> None:
    """The agent names a word and what stands there; both must be so."""
    for word in ("0", "1", "3", "77", ""):
        with ScriptedAgent(scene.socket, [("pull", URI, word), ("decide", "allow", {"word": word})]) as agent:
            scene.run("exec", URI, "true")
        assert agent.opened == [("22", b"")]
    assert (scene.told("pulled"), scene.told("launched")) == ([], ["exec", URI, "true"])


def test_launches_at_once_pull_once(scene: Scene) -> None:
    """Who waits for the same pull takes its result; the lock goes with the last."""
    with ScriptedAgent(scene.socket, script(2)) as agent:
        running = [scene.start("exec", URI, env={"DURING": "sleep 0.5"}) for _ in range(8)]
        ends = [(each.communicate(timeout=30), each.returncode)[1] for each in running]
    assert ends == [3] * 8
    assert len(agent.opened) == 8
    assert scene.told("pulled").count("pull") == 1
    assert scene.leftovers == []


def test_launches_without_a_cache_wait_for_one_pull_at_most(scene: Scene) -> None:
    """What the first has pulled is its own; the others then pull side by side."""
    began = time.monotonic()
    with ScriptedAgent(scene.socket, script(3)):
        running = [scene.start("exec", "--disable-cache", URI, env={"DURING": "sleep 1"}) for _ in range(5)]
        ends = [(each.communicate(timeout=30), each.returncode)[1] for each in running]
    assert (ends, scene.told("pulled").count("pull")) == ([3] * 5, 5)
    assert time.monotonic() - began < 4
    scene.await_no_leftovers()


def test_a_pull_without_standard_error_is_silent(scene: Scene) -> None:
    """Whatever has its number by then, the agent's socket for one, hears nothing of the runtime."""
    command = f"exec '{scene.program}' exec {URI} 2>&- >&-"
    env = {
        "PLACE": str(scene.place),
        "TMPDIR": str(scene.tmp),
        "APPTAINER_CACHEDIR": str(scene.place / "cache"),
    }
    variables = {"PATH": os.environ["PATH"], "ASAN_OPTIONS": "detect_leaks=0", **env}
    with ScriptedAgent(scene.socket, script(2)) as agent:
        done = subprocess.run(["sh", "-c", command], env=variables, check=False, timeout=20)
    assert (done.returncode, len(agent.opened)) == (3, 1)
    assert scene.told("launched") == ["exec", str(scene.cached)]


def test_the_next_launch_asks_the_registry_again(scene: Scene) -> None:
    """A tag may have moved: a result is only shared by those who asked while it was made."""
    for _ in range(2):
        with ScriptedAgent(scene.socket, script(2)):
            scene.run("exec", URI)
    assert scene.told("pulled").count("pull") == 2


def test_a_lock_of_somebody_else_holds_nobody(scene: Scene) -> None:
    """What cannot be locked is pulled without."""
    (scene.tmp / "here").mkdir()
    with ScriptedAgent(scene.socket, script(2)):
        assert (
            scene.run("exec", URI, env={"TMPDIR": "/nonexistent", "APPTAINER_TMPDIR": str(scene.tmp)})[0] == 3
        )
    assert scene.told("launched") == ["exec", str(scene.cached)]


STUBBORN = "trap '' INT TERM HUP; "


@pytest.mark.parametrize(
    ("number", "trap", "limit"),
    [(signal.SIGINT, "", 3), (signal.SIGTERM, "", 3), (signal.SIGHUP, "", 3), (signal.SIGTERM, STUBBORN, 5)],
)
def test_a_launch_ended_during_its_pull_leaves_nothing(
    scene: Scene, number: signal.Signals, trap: str, limit: float
) -> None:
    """No process, no file; the launch ends by the signal. A runtime that does not listen is killed after 3 s."""
    during = f"{trap}sleep 300 & echo $! > $PLACE/helper; wait; wait; sleep 300"
    with ScriptedAgent(scene.socket, script(2)):
        running = scene.start("exec", URI, env={"DURING": during})
        while not scene.told("helper"):
            time.sleep(0.01)
        began = time.monotonic()
        running.send_signal(number)
        running.communicate(timeout=10)
    assert time.monotonic() - began < limit
    assert running.returncode == -number
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(scene.told("helper")[0]), 0)
        pytest.fail("what the pull had started still runs")
    assert scene.told("launched") == []
    assert scene.leftovers == []


def test_ignored_signals_stay_ignored_during_a_pull(scene: Scene) -> None:
    """`nohup apptainer exec docker://…` goes on."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ScriptedAgent(scene.socket, script(2)):
            running = scene.start("exec", URI, env={"DURING": "echo > $PLACE/helper; sleep 0.5"})
            while not scene.told("helper"):
                time.sleep(0.01)
            running.send_signal(signal.SIGHUP)
            running.communicate(timeout=10)
    finally:
        signal.signal(signal.SIGHUP, hangup)
    assert (running.returncode, scene.told("launched")) == (3, ["exec", str(scene.cached)])


def test_an_agent_that_goes_during_a_pull_wastes_nothing(scene: Scene) -> None:
    """The posture counts; what was pulled is what runs."""
    pull = b"sifgate/1 pull\nuri:%d=%s\nword:1=2\n" % (len(URI), URI.encode())
    with ScriptedAgent(scene.socket, [("send", pull), ("close",)]):
        assert scene.run("exec", URI, env={"DURING": "sleep 0.7"})[0] == 3
    assert scene.told("launched") == ["exec", str(scene.cached)]
