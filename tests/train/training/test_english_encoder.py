"""The packaged encoder: which rows begin with it, and what of it is trained."""

from __future__ import annotations

import json

import pytest
import torch

from textgate.errors import CheckpointError, ConfigError
from textgate.rows import Row, load_labelled
from textgate.train import fit
from textgate.train.pretraining.pretrained import open_pretrained
from textgate.train.training.fold_trainers import FinalTrainer
from textgate.train.training.presets import PRESETS

GERMAN = """
Der Zug nach München hat heute wieder eine halbe Stunde Verspätung.
Meine Großmutter backt jeden Sonntag einen Apfelkuchen.
Das Konzert gestern Abend war ausverkauft und wunderbar.
Leider wurde mein Paket beim falschen Nachbarn abgegeben.
Wir suchen eine ruhige Wohnung mit Balkon in Bahnhofsnähe.
Die Suppe war kalt und der Kellner unfreundlich.
Könnten Sie mir bitte die Rechnung noch einmal schicken?
Im Herbst wandern wir am liebsten durch den Schwarzwald.
Der neue Roman liest sich flüssig, aber das Ende enttäuscht.
Unser Hund bellt immer, wenn der Briefträger kommt.
Die Waschmaschine läuft seit gestern nicht mehr.
Sie spielt seit ihrer Kindheit hervorragend Klavier.
Ich möchte meinen Vertrag zum Jahresende kündigen.
Das Frühstück im Hotel ließ keine Wünsche offen.
Am Wochenende soll es in den Bergen schneien.
Der Akku hält trotz intensiver Nutzung zwei Tage.
Warum wurde mir der Betrag doppelt abgebucht?
Die Kinder haben den ganzen Nachmittag im Garten gespielt.
Dieser Staubsauger ist laut und saugt kaum etwas auf.
Vielen Dank für die schnelle und kompetente Hilfe.
Der Bäcker an der Ecke verkauft die besten Brötchen.
Gestern habe ich zum ersten Mal Schach gewonnen.
Die Ausstellung zeigt Gemälde aus drei Jahrhunderten.
Mein Bruder studiert Maschinenbau in Aachen.
Die Lieferung kam beschädigt an, ich hätte gern Ersatz.
Nach dem Regen duftete der Wald nach Moos.
Der Schauspieler überzeugte in seiner letzten Rolle.
Bitte ändern Sie meine Anschrift in Ihrem System.
Wer früh bucht, zahlt für die Fähre deutlich weniger.
Unsere Mannschaft hat leider schon wieder verloren.
"""
SPANISH = """
El tren a Sevilla sale todos los días a las siete.
Mi abuela prepara la mejor tortilla de patatas del barrio.
El concierto de anoche fue sencillamente maravilloso.
Por desgracia, el paquete llegó roto y sin factura.
Buscamos un piso tranquilo con terraza cerca del mercado.
La sopa estaba fría y el camarero fue muy antipático.
¿Podrían enviarme otra vez el recibo del mes pasado?
En otoño nos gusta pasear por los bosques del norte.
La novela empieza bien, pero el final decepciona.
Nuestro perro ladra cuando oye al cartero.
La lavadora dejó de funcionar ayer por la tarde.
Ella toca el piano desde que era niña.
Quisiera cancelar mi contrato a finales de año.
El desayuno del hotel era abundante y delicioso.
Dicen que este fin de semana nevará en la sierra.
La batería dura dos días aunque use mucho el teléfono.
¿Por qué me han cobrado dos veces el mismo importe?
Los niños jugaron toda la tarde en el jardín.
Esta aspiradora hace mucho ruido y apenas limpia.
Muchas gracias por una ayuda tan rápida y amable.
El panadero de la esquina vende unas magdalenas exquisitas.
Ayer gané por primera vez una partida de ajedrez.
La exposición reúne cuadros de tres siglos.
Mi hermano estudia ingeniería en Zaragoza.
El pedido llegó incompleto y nadie contesta al teléfono.
Después de la lluvia el campo olía a tierra mojada.
El actor convence en su último papel.
Por favor, cambien mi dirección en su sistema.
Quien reserva pronto paga mucho menos por el barco.
Nuestro equipo ha vuelto a perder en casa.
"""
TINY = {"epochs": 1, "folds": 2}


def labelled(text):
    return [
        Row(line, (("a", "b")[number % 2],), number)
        for number, line in enumerate(text.split("\n")[1:-1], start=1)
    ]


@pytest.fixture(scope="module")
def english(reviews):
    rows = load_labelled(reviews / "train.jsonl.gz")
    return [row for row in rows if len(row.text) < 80][:24]


@pytest.fixture(scope="module")
def encoder():
    return open_pretrained("english")


@pytest.fixture(scope="module")
def frozen(english, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen") / "run"
    return fit(english, folder, settings={"frozen": True})


@pytest.fixture
def trained(hearing, tmp_path):
    """Trains a network and returns its run and its notes."""

    def train(rows, *, settings=None, **options):
        heard = hearing()
        given = {**TINY, **(settings or {})}
        run = fit(rows, tmp_path / "run", settings=given, progress=heard, **options)
        return run, heard.notes

    return train


def test_english_rows_begin_with_it(frozen, encoder):
    assert frozen.manifest.pretrained == encoder.summary
    assert frozen.manifest.pretrained.name == "english"
    net = frozen.manifest.architecture
    assert (net.cell, net.hidden_sizes) == (encoder.settings.cell, (encoder.settings.hidden_size,))
    assert net.embedding_size == encoder.settings.embedding_size
    assert net.pooling == ("max", "mean")
    assert not net.bidirectional


def test_frozen_layers_stay_as_they_are(frozen, encoder):
    assert frozen.model.history == []
    assert frozen.model.best_epoch == 0
    for name, weight in encoder.layers.items():
        assert torch.equal(frozen.model.weights[name], weight), name
    tokenizer = json.loads((frozen.path / "tokenizer.json").read_text(encoding="utf-8"))
    before = json.loads(encoder.tokenizer_json)["model"]["vocab"]
    after = tokenizer["model"]["vocab"]
    assert len(after) <= frozen.manifest.settings["vocabulary_size"]
    for word in ("good", "the"):
        row = torch.from_numpy(encoder.embedding[before[word]])
        assert torch.equal(frozen.model.weights["embedding.weight"][after[word]], row)


def test_its_words_are_those_of_the_rows_first(frozen, encoder, english):
    tokenizer = json.loads((frozen.path / "tokenizer.json").read_text(encoding="utf-8"))
    known = json.loads(encoder.tokenizer_json)["model"]["vocab"]
    words = {word for row in english for word in row.text.casefold().split() if word in known}
    assert words <= set(tokenizer["model"]["vocab"])


def test_fine_tuning_changes_its_layers(english, encoder, trained):
    run, notes = trained(english, settings={"folds": 0, "dev_fraction": 0.25})
    assert any(note.startswith("the frozen encoder alone: log loss ") for note in notes)
    assert notes[0].startswith("starts from the encoder english, which knows ")
    assert any(
        not torch.equal(run.model.weights[name], weight) for name, weight in encoder.layers.items()
    )


def test_with_folds_the_weights_may_stay_halfway(english, encoder, trained, monkeypatch):
    found = []
    original = FinalTrainer.weights_at

    def recording(self, fraction):
        found.append((fraction, self.initial_weights, dict(self.state.weights)))
        return original(self, fraction)

    monkeypatch.setattr(FinalTrainer, "weights_at", recording)
    run, notes = trained(english)
    ((fraction, start, end),) = found
    assert fraction == 0.5
    assert any("1 epoch and the mean of the weights before and after;" in note for note in notes)
    for name, weight in encoder.layers.items():
        assert torch.equal(start[name], weight), name
        assert torch.allclose(run.model.weights[name], (weight + end[name]) / 2, atol=1e-7), name


@pytest.mark.parametrize("text", [GERMAN, SPANISH], ids=["German", "Spanish"])
def test_rows_in_another_language_do_not_and_a_note_says_so(text, trained):
    run, notes = trained(labelled(text))
    assert run.manifest.pretrained is None
    (note,) = [note for note in notes if "encoder" in note]
    assert note.startswith("the encoder english knows ")
    assert note.endswith("% of the running words, so it is not used")


def test_the_notes_say_what_it_fixes(english, trained):
    _, notes = trained(english)
    (note,) = [note for note in notes if note.startswith("pooling")]
    assert note == (
        "pooling max+mean, vocabulary_size 14,000: the encoder was trained with these, and rare "
        "words are spelled with pieces"
    )


def test_none_is_none(english, trained):
    run, notes = trained(english, pretrained="none")
    assert run.manifest.pretrained is None
    assert not any("encoder" in note for note in notes)


CONFLICTS = [
    {"hidden_sizes": (64,)},
    {"cell": "gru"},
    {"embedding_size": 20},
    {"bidirectional": True},
    {"tokenizer": "words"},
    {"vectors": "english"},
]


@pytest.mark.parametrize("settings", CONFLICTS, ids=lambda given: next(iter(given)))
def test_other_networks_do_not_and_a_note_says_so(settings, english, trained):
    run, notes = trained(english, settings={"max_tokens": 20, **settings})
    assert run.manifest.pretrained is None
    assert notes[0] == "the encoder english does not go with the given settings, so it is not used"


@pytest.mark.parametrize("settings", CONFLICTS, ids=lambda given: next(iter(given)))
def test_other_networks_are_refused_where_it_is_asked_for(settings, english, tmp_path):
    (name,) = settings
    with pytest.raises(ConfigError, match=rf"^{name} .* does not go with .*leave the option out"):
        fit(english, tmp_path / "run", settings=settings, pretrained="english")
    assert not (tmp_path / "run").exists()


def test_presets_without_the_recipe_do_not(english, tmp_path, hearing):
    heard = hearing()
    small = {"hidden_sizes": (8,), "embedding_size": 8, "epochs": 1}
    run = fit(english, tmp_path / "run", preset="seed-gru", settings=small, progress=heard)
    assert run.manifest.pretrained is None
    assert not any("encoder" in note for note in heard.notes)
    with pytest.raises(ConfigError, match="the preset seed-gru has cell gru"):
        fit(english, tmp_path / "two", preset="seed-gru", pretrained="english")


def test_a_whole_config_does_not(english, tmp_path, hearing):
    heard = hearing()
    config = PRESETS["seed-lstm"].replace(hidden_sizes=(8,), embedding_size=8, epochs=1)
    assert (
        fit(english, tmp_path / "run", settings=config, progress=heard).manifest.pretrained is None
    )
    assert not any("encoder" in note for note in heard.notes)


FROZEN = [
    (
        {"pretrained": "none"},
        {},
        "frozen needs a pretrained encoder and one dense layer after it; ",
    ),
    ({"preset": "seed-lstm"}, {}, "frozen needs a pretrained encoder and one dense layer after it"),
    (
        {},
        {"hidden_sizes": (64,)},
        "frozen needs a pretrained encoder and one dense layer after it, but the encoder english ",
    ),
    ({}, {"dense_sizes": (8,)}, "frozen needs a pretrained encoder and one dense layer after it; "),
]


@pytest.mark.parametrize(("options", "settings", "message"), FROZEN)
def test_frozen_without_an_encoder_is_refused(options, settings, message, english, tmp_path):
    with pytest.raises(ConfigError) as caught:
        fit(english, tmp_path / "run", settings={"frozen": True, **settings}, **options)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_frozen_with_rows_in_another_language_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"but the encoder english knows .* of the running words"):
        fit(labelled(GERMAN), tmp_path / "run", settings={"frozen": True})


# Resuming


def test_a_run_is_resumed_with_the_encoder_it_began_with(english, stop, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    stop(fit, english, folder, settings=TINY, epochs=0, steps=1)
    with pytest.raises(
        CheckpointError, match="begun with the pretrained weights of english, and no"
    ):
        fit(english, folder, pretrained="none", resume=True)
    summary = "textgate.train.preparation.open_pretrained"
    with monkeypatch.context() as patch:
        patch.setattr(summary, lambda name: other(open_pretrained(name)))
        with pytest.raises(
            CheckpointError, match="begun with another encoder english than that of"
        ):
            fit(english, folder, resume=True)
    run = fit(english, folder, resume=True)
    assert run.manifest.pretrained.name == "english"


def other(encoder):
    """The same encoder in another release."""
    from dataclasses import replace

    return replace(encoder, summary=replace(encoder.summary, sha256="0" * 64))


def test_a_run_without_it_is_resumed_without_it(english, stop, hearing, tmp_path):
    folder, heard = tmp_path / "run", hearing()
    settings = {**TINY, "hidden_sizes": (8,), "embedding_size": 8}
    stop(fit, english, folder, settings=settings, pretrained="none", epochs=0, steps=1)
    assert fit(english, folder, resume=True, progress=heard).manifest.pretrained is None
    assert not any("encoder" in note for note in heard.notes)
