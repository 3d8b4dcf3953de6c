"""`speakerd export` and `import`."""

import shutil
import stat
from pathlib import Path

from tests.cli.conftest import Call
from tests.running import CLIPS, LAMP, speaker, speakerd


def test_carried_to_another_speaker_a_command_is_heard_there(call: Call, state: Path, tmp_path: Path) -> None:
    bundle, other = tmp_path / "house.speakerd", tmp_path / "other"
    assert call("export", bundle, "--state", state).exit_code == 0
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600, "it holds voices"
    done = call("import", bundle, "--state", other)
    assert (done.exit_code, done.stdout) == (0, f"{LAMP}: learned, 3 examples\n")
    assert LAMP in call("listen", CLIPS[LAMP][0], "--state", other).stdout
    assert call("undo", "--state", other).stdout == f"undone: imported: {LAMP}\n"


def test_a_running_daemon_gives_and_takes(state: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "house.speakerd"
    with speaker(tmp_path, state=state) as running:
        assert speakerd("export", bundle, "--state", state).returncode == 0
        assert speakerd("forget", LAMP, "--state", state).returncode == 0
        assert speakerd("import", bundle, "--state", state).returncode == 0
        assert LAMP in speakerd("commands", "--state", running.state).stdout


def test_what_is_no_bundle_is_said_with_its_name(call: Call, state: Path, tmp_path: Path) -> None:
    shutil.copy(CLIPS[LAMP][0], tmp_path / "clip")
    for file, words in ((tmp_path / "clip", "not a bundle"), (tmp_path / "none", "cannot be read: No such file")):
        done = call("import", file, "--state", state)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"speakerd: {file}")
        assert words in done.stderr
    assert call("export", tmp_path / "no/folder", "--state", state).exit_code == 1
