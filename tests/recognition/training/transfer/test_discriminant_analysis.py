import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from diptych.recognition.training.transfer.discriminant_analysis import ClassStatistics, DiscriminantAnalysis, project


def clouds(n=300, width=10, classes=4, seed=0):
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(9))
    labels = torch.randint(0, classes, (n,), generator=draw)
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(5))
    return centres[labels] + torch.randn(n, width, generator=draw) @ mixing, labels


def test_it_is_the_analysis_of_scikit_learn():
    features, labels = clouds()
    analysis = DiscriminantAnalysis.fit(ClassStatistics.of(features, labels, 4), 0.3)
    probabilities = analysis.head().logits(features).softmax(1)
    covariance = torch.zeros(10, 10)
    for k in range(4):
        centred = features[labels == k] - features[labels == k].mean(0)
        covariance += centred.T @ centred / len(features)
    shrunk = 0.7 * covariance + 0.3 * covariance.diagonal().mean() * torch.eye(10)

    class Shrunk:
        def fit(self, centred):
            self.covariance_ = shrunk.numpy()
            return self

    reference = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=Shrunk()).fit(features, labels)
    assert torch.allclose(probabilities, torch.from_numpy(reference.predict_proba(features)).float(), atol=1e-3)


def test_statistics_of_what_is_left_are_those_without_the_others():
    features, labels = clouds()
    whole, part = (ClassStatistics.of(features[rows], labels[rows], 4) for rows in (slice(None), slice(0, 100)))
    rest = ClassStatistics.of(features[100:], labels[100:], 4)
    assert torch.allclose((whole - part).moment, rest.moment, rtol=1e-3, atol=1e-2)
    assert torch.allclose((whole - part).means, rest.means, atol=1e-4)


def test_in_its_space_classes_vary_alike_and_examples_have_unit_length():
    features, labels = clouds(n=3000)
    analysis = DiscriminantAnalysis.fit(ClassStatistics.of(features, labels, 4), 0.0)
    projection, shift = analysis.projection()
    assert projection.shape == (3, 10)
    projected = features @ projection.T - shift
    within = torch.cat([projected[labels == k] - projected[labels == k].mean(0) for k in range(4)])
    assert torch.allclose(within.T @ within / len(within), torch.eye(3), atol=1e-2)
    assert torch.allclose(project(features, projection, shift).norm(dim=1), torch.ones(3000), atol=1e-5)


def test_a_class_without_pictures_is_never_the_likeliest():
    features, labels = clouds()
    head = DiscriminantAnalysis.fit(ClassStatistics.of(features, labels, 5), 0.5).head()
    assert (head.logits(features).argmax(1) < 4).float().mean() > 0.99
