"""Looking at a finished run: `plot` lists charts and draws one or all; `traces` and `logs` say so where there is nothing."""

from reports.charts import OF_A_RUN

from .test_run import folder, mesocosm  # noqa: F401 - a fixture


def test_without_a_name_the_charts_are_listed_and_with_all_they_are_drawn(folder):  # noqa: F811
    """A line for each chart, with its title or its files; what the run has nothing for says why, and names no file."""
    mesocosm("run", "small.yaml", "--no-report", "--out", "a", cwd=folder)
    listed = mesocosm("plot", "a", "--lang", "es", cwd=folder).stdout.splitlines()
    assert [line.split()[0] for line in listed[:-2]] == list(OF_A_RUN) and "mesocosm plot a --all" in listed[-1]
    assert not list((folder / "a").rglob("*.svg"))
    drawn = mesocosm("plot", "a", "--all", "--theme", "dark", "--out", "all", cwd=folder).stdout.splitlines()
    assert "all/outcomes-dark.svg, .png" in drawn and any(line.startswith("sagas: ") for line in drawn)
    assert {path.name for path in (folder / "all").iterdir()} == {
        f"{line.partition('.')[0].removeprefix('all/')}.{kind}" for line in drawn if line.endswith(", .png") for kind in ("svg", "png")}


def test_a_chart_or_a_folder_that_is_not_there_is_told(folder):  # noqa: F811
    """Code 2, with the nearest name; the folder is looked at even where nothing is to be drawn."""
    mesocosm("run", "small.yaml", "--no-report", "--out", "a", cwd=folder)
    assert "did you mean 'lag'?" in mesocosm("plot", "a", "lagg", cwd=folder).stderr
    assert "b: is no folder" in mesocosm("plot", "b", cwd=folder).stderr


def test_nothing_found_is_said(folder):  # noqa: F811
    """An empty answer is no riddle: on stderr, so that a pipe stays empty."""
    mesocosm("run", "small.yaml", "--no-report", "--out", "a", "--set", "services.back.endpoints.GET /=[{work: 1ms}]", cwd=folder)
    for arguments, said in ((("traces", "a", "--failed"), "no request failed"), (("logs", "a", "--text", "nowhere"), "no line is like that")):
        done = mesocosm(*arguments, cwd=folder)
        assert (done.returncode, done.stdout) == (0, "") and said in done.stderr
