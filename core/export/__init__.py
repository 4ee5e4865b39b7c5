"""Models as files that run without this library, and proof that they agree.

    classifier = export.Classifier(model, preprocess, (28, 28, 1), label_names)
    export.save_saved_model(classifier, 'exports/saved_model')
    export.save_tflite(classifier, 'exports/model.tflite')
    run = export.tflite_runner('exports/model.tflite')
    parity = export.compare(probabilities, run(images))

Both files take images as float32 in [0, 1] and as raw uint8, in batches of any
size, and hold the names of the labels.
"""

from . import classifier, function, parity, saved_model, tflite

Classifier = classifier.Classifier
Function = function.Function
OUTPUTS = classifier.OUTPUTS
PARITY_LIMIT = parity.LIMIT
Parity = parity.Parity
QUANTIZATIONS = tflite.QUANTIZATIONS
Runner = classifier.Runner
UnsupportedError = tflite.UnsupportedError
classifier_runner = classifier.classifier_runner
compare = parity.compare
save_saved_model = saved_model.save_saved_model
save_tflite = tflite.save_tflite
saved_model_function = saved_model.saved_model_function
saved_model_labels = saved_model.saved_model_labels
saved_model_runner = saved_model.saved_model_runner
tflite_function = tflite.tflite_function
tflite_labels = tflite.tflite_labels
tflite_runner = tflite.tflite_runner

__all__ = [
    'OUTPUTS',
    'PARITY_LIMIT',
    'QUANTIZATIONS',
    'Classifier',
    'Function',
    'Parity',
    'Runner',
    'UnsupportedError',
    'classifier_runner',
    'compare',
    'save_saved_model',
    'save_tflite',
    'saved_model_function',
    'saved_model_labels',
    'saved_model_runner',
    'tflite_function',
    'tflite_labels',
    'tflite_runner',
]
