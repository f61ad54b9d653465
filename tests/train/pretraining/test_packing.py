"""Pretrained folders with weights of int8."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from textgate.errors import CheckpointError
from textgate.train import fit, pretrain
from textgate.train.pretraining import pretrained as pretrained_module
from textgate.train.pretraining.packing import packed, unpacked
from textgate.train.pretraining.pretrained import open_pretrained, pack, read_pretrained
from textgate.train.training.checkpoint import read_tensors, write_tensors

TINY = {
    "hidden_size": 12,
    "embedding_size": 8,
    "vocabulary_size": 600,
    "vectors": "none",
    "max_tokens": 20,
    "epochs": 2,
    "samples": 100,
}


@pytest.fixture(scope="module", params=["language model", "sentence encoder"])
def folder(request, separable, encoder, tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    texts = root / "texts.txt"
    texts.write_text("".join(f"{row.text}\n" for row in separable(200, seed=5)), encoding="utf-8")
    teacher = str(encoder) if request.param == "sentence encoder" else None
    return pretrain([texts], root / "float", teacher=teacher, settings=TINY).path


@pytest.fixture
def small(folder, tmp_path):
    pack(folder, tmp_path / "small")
    return tmp_path / "small"


def test_each_weight_is_within_half_a_step():
    weight = torch.randn(50, 30) * torch.rand(50, 1) * 9
    weight[3] = 0.0
    tensors = {"weight": weight, "bias": torch.randn(7)}
    stored = packed(tensors)
    assert {name: tensor.dtype for name, tensor in stored.items()} == {
        "weight": torch.int8,
        "weight/scales": torch.float32,
        "bias": torch.float32,
    }
    found = unpacked(stored)
    assert found.keys() == tensors.keys()
    assert torch.equal(found["bias"], tensors["bias"])
    steps = weight.abs().amax(dim=1) / 127
    assert ((found["weight"] - weight).abs() <= 0.5001 * steps[:, None]).all()
    assert not found["weight"][3].any()


def test_a_packed_folder_opens_with_nearly_equal_weights(folder, small):
    one, two = open_pretrained(folder), open_pretrained(small)
    assert (two.tokenizer_json, two.settings) == (one.tokenizer_json, one.settings)
    assert two.layers.keys() == one.layers.keys()
    pairs = [(torch.from_numpy(one.embedding), torch.from_numpy(two.embedding))]
    pairs += [(one.layers[name], two.layers[name]) for name in one.layers]
    assert (one.projection is None) == (two.projection is None)
    if one.projection is not None:
        assert np.array_equal(one.projection.bias, two.projection.bias)
        pairs += [tuple(torch.from_numpy(each.projection.weight) for each in (one, two))]
    for before, after in pairs:
        assert after.dtype == torch.float32
        torch.testing.assert_close(after, before, rtol=0, atol=before.abs().max().item() / 250)
    assert not two.embedding[0].any() or one.embedding[0].any()


def test_it_is_a_folder_like_any_other(folder, small, separable, quick, tmp_path):
    assert sorted(path.name for path in small.iterdir()) == [
        *("model.safetensors", "pretrained.json", "tokenizer.json")
    ]
    size = (small / "model.safetensors").stat().st_size
    assert size < 0.5 * (folder / "model.safetensors").stat().st_size
    before, after = read_pretrained(folder), read_pretrained(small)
    assert after.result.history == before.result.history
    assert after.result.sha256 == open_pretrained(small).summary.sha256 != before.result.sha256
    fixed = ("embedding_size", "hidden_sizes", "vocabulary_size", "vectors")
    free = {name: value for name, value in quick.items() if name not in fixed}
    run = fit(separable(80), tmp_path / "run", settings={**free, "epochs": 1}, pretrained=small)
    assert run.manifest.pretrained.name == "small"


def test_only_a_whole_folder_is_packed(folder, small, tmp_path):
    with pytest.raises(CheckpointError, match="it has int8 weights already"):
        pack(small, tmp_path / "again")
    with pytest.raises(CheckpointError, match="already exists; choose another path"):
        pack(folder, small)
    pack(folder, small, force=True)
    unfinished = shutil.copytree(folder, tmp_path / "unfinished")
    said = json.loads((unfinished / "pretrained.json").read_text(encoding="utf-8"))
    said = {name: said[name] for name in said.keys() - {"outcome", "distilled"}}
    (unfinished / "pretrained.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(CheckpointError, match="pretraining has not finished"):
        pack(unfinished, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def rewritten(folder, change):
    """Changes the tensors of a folder, whose checksums then fit."""
    path = folder / "model.safetensors"
    tensors, _ = read_tensors(path)
    change(tensors)
    write_tensors(path, tensors, {})
    said = json.loads((folder / "pretrained.json").read_text(encoding="utf-8"))
    said[next(name for name in ("outcome", "distilled") if name in said)]["sha256"] = (
        hashlib.sha256(path.read_bytes()).hexdigest()
    )
    (folder / "pretrained.json").write_text(json.dumps(said), encoding="utf-8")


EMBEDDING, SCALES = "embedding.weight", "embedding.weight/scales"
WRONG = [
    (lambda all_: all_.pop(SCALES), "embedding.weight has no scales that fit its codes"),
    (lambda all_: all_.update({SCALES: all_[SCALES][1:]}), "has no scales that fit its codes"),
    (lambda all_: all_.update({SCALES: all_[SCALES].double()}), "has no scales that fit its codes"),
    (lambda all_: all_[SCALES].fill_(torch.nan), "has no scales that fit its codes"),
    (lambda all_: all_[SCALES].neg_(), "has no scales that fit its codes"),
    (lambda all_: all_.pop(EMBEDDING), "embedding.weight should be "),
    (lambda all_: all_.update({EMBEDDING: all_[EMBEDDING][:, 1:]}), "embedding.weight should be "),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_codes_that_do_not_fit_are_refused(small, change, message):
    rewritten(small, change)
    with pytest.raises(CheckpointError) as caught:
        open_pretrained(small)
    assert message in str(caught.value)
    assert str(small / "model.safetensors") in str(caught.value)


def test_a_changed_code_is_refused(small):
    path = small / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="it does not match its checksum in pretrained"):
        open_pretrained(small)


# The encoder in the package


def test_the_encoder_in_the_package_is_opened_by_name(small, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained_module.resources, "files", lambda _: tmp_path)
    shutil.copytree(small, tmp_path / "english" / "encoder")
    found = open_pretrained("english")
    assert found.summary.name == "english"
    assert np.array_equal(found.embedding, open_pretrained(small).embedding)


@pytest.mark.parametrize("source", ["all-mpnet-base-v2", "CC BY 4.0", "GoEmotions", "Surge AI"])
def test_the_notice_names_its_sources(source):
    notice = Path(pretrained_module.__file__).parents[1] / "english" / "NOTICE"
    assert source in notice.read_text(encoding="utf-8").partition("English word vectors")[0]


def test_an_installation_without_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(CheckpointError) as caught:
        open_pretrained("english")
    assert str(caught.value) == (
        f"{tmp_path / 'english' / 'encoder'}: this installation lacks the sentence encoder "
        "'english'; install textgate again, or give a folder that textgate pretrain --teacher made"
    )
