"""The list of mutants that do the same as the original keeps up with the code."""

from __future__ import annotations

from mutants import relocate


def test_every_mutant_in_the_list_has_its_line_where_the_list_says():
    assert relocate.entries()
    assert relocate.lost() == []


def test_an_entry_follows_its_definition_to_another_file(tmp_path, monkeypatch, capsys):
    (tmp_path / "refgrad").mkdir()
    (tmp_path / "refgrad" / "new.py").write_text("def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x + 2\n")
    listed = tmp_path / "equivalent.toml"
    entry = '[[mutant]]\nfile = "refgrad/old.py"\nwithin = "{}"\nbefore = "return x + {}"\nafter = ""\nreason = ""\n'
    listed.write_text("# a comment\n\n" + entry.format("f", 1) + "\n" + entry.format("f", 2))
    monkeypatch.setattr(relocate, "ROOT", tmp_path)
    monkeypatch.setattr(relocate, "LIST", listed)
    assert relocate.main() == 1
    assert [e["file"] for e in relocate.entries()] == ["refgrad/new.py", "refgrad/old.py"]
    assert [e["before"] for e in relocate.lost()] == ["return x + 2"]  # it stands in g, not in f
    assert "return x + 2\n  found in []" in capsys.readouterr().out
    assert listed.read_text().startswith("# a comment")
