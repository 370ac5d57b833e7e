"""``privacy``: whether a model gives away which pictures it was trained on, or the pictures themselves."""

from diptych.audit.privacy import references as reference_models
from diptych.audit.privacy.recognizer_privacy import audit_recognizer
from diptych.audit.privacy.synthesizer_privacy import Sampler, audit_synthesizer
from diptych.data.images import Images, ImagesLike
from diptych.engine.run_settings import MINUTES, SEED
from diptych.errors import UsageError
from diptych.recognition.recognizer import Recognizer
from diptych.report import Report
from diptych.settings import numbers, whole


@numbers(references=whole(2), canaries=whole(1), number=whole(1), minutes=MINUTES, seed=SEED)
def privacy(
    model: Recognizer | Sampler,
    *,
    seen: ImagesLike,
    unseen: ImagesLike,
    references: int | None = None,
    canaries: int | None = None,
    number: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
) -> Report:
    """Attack a model as somebody would who wants to know whether a picture was among its training pictures.

    What counts is how many of the training pictures are found while at most 1 % of other pictures are taken for such,
    with exact intervals. An alarm is given only where the interval of what is found lies above that of the false
    alarms.

    A recognizer is attacked by RMIA (Zarifzadeh et al. 2024), by how much likelier it finds the label of a picture than
    reference models do, and by the log odds of the label; the reference models are trained here by its own settings on
    halves of all pictures. A VAE or a flow is
    attacked in the same way by its likelihood, and every synthesizer by how near its samples come to each picture;
    its samples are also searched for copies.

    Parameters
    ----------
    model
        A recognizer, a synthesizer, or any object with the method ``sample(n, seed=…)``.
    seen
        The pictures that it was trained on. Those that it was not trained on, by its own record, are left out.
    unseen
        Pictures of the same source that it was not trained on, 200 at least: best a random part of what was
        collected, held out before the training.
    references
        How many reference models are trained, an even number; ``None``: four of a recognizer, two of a VAE or a flow.
        From 16 on the report shows the single pictures that are most at risk.
    canaries
        Train a recognizer once more, with so many wrongly labelled pictures of which half are trained on by the toss of
        a coin, and bound ε from below (Steinke et al. 2023); ``None``: this is not done.
    number
        How many samples of a synthesizer; ``None``: as many as there are training pictures, 50 to 2,000 (500 where the
        network is run often for each).
    minutes
        For all reference models together; ``None``: each as long as the model's own settings say.
    seed
        Of all random choices.

    Returns
    -------
    Report
        ``verdict.word`` is "promise_broken" (the canaries refute the promised ε), "copies" (a synthesizer repeats
        training pictures), "sets_differ" (``seen`` and ``unseen`` are of different origins, so nothing can be said),
        "leaks", "no_sign" or "too_few".

    Raises
    ------
    DataError
        The model was trained on one of ``unseen``, or on none of ``seen``; or one of ``unseen`` is generated.
    UsageError
        A parameter is not for this kind of model, or out of range.
    """
    if references is not None:
        reference_models.check_number(references)
    known, others = Images.of(seen), Images.of(unseen)
    if isinstance(model, Recognizer):
        if number is not None:
            raise UsageError("The number of samples is for synthesizers; leave it out for a recognizer.")
        return audit_recognizer(
            model, known, others, references=references, canaries=canaries, minutes=minutes, seed=seed
        )
    if not callable(getattr(model, "sample", None)):
        raise UsageError("A privacy audit is of a recognizer or of a synthesizer; this is something else.")
    if canaries is not None:
        raise UsageError("Canaries are pictures with a wrong label, for recognizers; leave them out for a synthesizer.")
    return audit_synthesizer(model, known, others, references=references, number=number, minutes=minutes, seed=seed)
