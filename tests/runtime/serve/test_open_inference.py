"""The Open Inference Protocol v2, spoken by NVIDIA's client with its default settings."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from textgate import Classifier

TEXTS = ["a great, funny and moving film", "", "dull , dull , dull", "Ünïcödé 🎬"]


@pytest.fixture
def triton(server):
    with InferenceServerClient(server.address) as client:
        yield client


@pytest.fixture(scope="module")
def classifier(bundle):
    return Classifier.load(bundle)


def input_of(texts, *, binary=True, shape=None):
    tensor = InferInput("text", shape or [len(texts)], "BYTES")
    values = np.array(texts, dtype=object).reshape(shape or [len(texts)])
    tensor.set_data_from_numpy(values, binary_data=binary)
    return tensor


def test_the_server_and_its_models_are_live_and_ready(triton):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("movies")
    assert triton.is_model_ready("movies", "1")
    assert not triton.is_model_ready("nothing")
    assert not triton.is_model_ready("movies", "9")


def test_metadata(triton):
    assert triton.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert triton.get_model_metadata("movies") == {
        "name": "movies",
        "versions": ["1"],
        "platform": "textgate",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "score", "datatype": "FP32", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


@pytest.mark.parametrize("version", ["", "1"])
def test_inference_in_binary_is_what_predict_many_says(triton, classifier, version):
    answer = triton.infer("movies", [input_of(TEXTS)], model_version=version, request_id="7")
    expected = list(classifier.predict_many(TEXTS))
    assert answer.get_response()["id"] == "7"
    labels = [label.decode() for label in answer.as_numpy("label")]
    assert labels == [one.label or "" for one in expected]
    scores = np.array([one.score for one in expected], dtype=np.float32)
    np.testing.assert_array_equal(answer.as_numpy("score"), scores)
    probabilities = np.array([list(one.scores.values()) for one in expected], dtype=np.float32)
    np.testing.assert_array_equal(answer.as_numpy("probabilities"), probabilities)


@pytest.mark.parametrize("shape", [[4], [4, 1]])
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_inputs_and_outputs_are_binary_or_json(triton, classifier, shape, binary_in, binary_out):
    wanted = [InferRequestedOutput("label", binary_data=binary_out)]
    answer = triton.infer(
        "movies", [input_of(TEXTS, binary=binary_in, shape=shape)], outputs=wanted
    )
    labels = [
        label.decode() if isinstance(label, bytes) else label for label in answer.as_numpy("label")
    ]
    assert labels == [one.label or "" for one in classifier.predict_many(TEXTS)]
    assert answer.as_numpy("score") is None


def test_many_texts_and_none(triton, classifier):
    answer = triton.infer("movies", [input_of(TEXTS * 200)])
    assert len(answer.as_numpy("label")) == 800
    assert triton.infer("movies", [input_of([])]).as_numpy("probabilities").shape == (0, 2)


def test_errors_reach_the_client(triton):
    wrong = InferInput("text", [1], "FP32")
    wrong.set_data_from_numpy(np.zeros(1, dtype=np.float32))
    with pytest.raises(InferenceServerException, match="datatype should be BYTES, found FP32"):
        triton.infer("movies", [wrong])
    with pytest.raises(InferenceServerException, match="there is no model 'nothing'"):
        triton.infer("nothing", [input_of(TEXTS)])
    with pytest.raises(InferenceServerException, match="there is no output 'x'"):
        triton.infer("movies", [input_of(TEXTS)], outputs=[InferRequestedOutput("x")])


def string(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


HEAD = (
    b'{"inputs":[{"name":"text","shape":[1],"datatype":"BYTES",'
    b'"parameters":{"binary_data_size":%d}}]}'
)


@pytest.mark.parametrize(
    ("behind", "said", "status"),
    [
        (string(b"good"), None, 200),
        (string(b"good"), 5, 400),  # another size than is there
        (b"", None, 422),  # fewer texts than the shape says
        (string(b"a") + string(b"b"), None, 422),
        (b"\x01\x00", None, 400),  # the end of the data inside a length
        (struct.pack("<I", 2**32 - 1) + b"a", None, 400),  # inside a string
        (string(b"\xff"), None, 400),  # not UTF-8
    ],
)
def test_binary_data_is_checked(client, behind, said, status):
    head = HEAD % (len(behind) if said is None else said)
    headers = {"inference-header-content-length": str(len(head))}
    answer = client().post("/v2/models/movies/infer", content=head + behind, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("data", [["a"] * 3, [["a"]] * 3, None], ids=["flat", "rows", "binary"])
def test_too_many_texts_are_refused_before_they_are_read(client, data):
    """The limit is 2; the third text is wrong, and is not looked at."""
    made = client(max_texts=2)
    if data is None:
        behind = string(b"a") * 3 + b"\x01"
        head = HEAD % len(behind)
        headers = {"inference-header-content-length": str(len(head))}
        answer = made.post("/v2/models/movies/infer", content=head + behind, headers=headers)
    else:
        inputs = [tensor(data=[*data[:2], 1])]
        answer = made.post("/v2/models/movies/infer", json={"inputs": inputs})
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "x", "99999", "1" * 5000])
def test_the_length_of_the_json_is_checked(client, length):
    headers = {"inference-header-content-length": length}
    answer = client().post("/v2/models/movies/infer", content=HEAD % 0, headers=headers)
    assert answer.status_code == 400


def tensor(**changes):
    return {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]} | changes


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [tensor(), tensor()],
        [tensor(name="input")],
        [tensor(shape=[])],
        [tensor(shape=[2])],
        [tensor(shape=[-1])],
        [tensor(shape=[1, 2])],
        [tensor(data=[1])],
        [tensor(data=[["a", 1]], shape=[2, 1])],
        [tensor(data=None)],
        [tensor(datatype="FP32")],
    ],
    ids=str,
)
def test_inputs_are_checked(client, inputs):
    answer = client().post("/v2/models/movies/infer", json={"inputs": inputs})
    assert answer.status_code == 422
    assert answer.json()["error"] == answer.json()["detail"]
