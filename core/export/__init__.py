"""Models as files that run without this library, and checks that they agree.

    classifier = export.Classifier(model, preprocess, (28, 28, 1), label_names)
    export.save_saved_model(classifier, 'exports/saved_model')
    export.save_tflite(classifier, 'exports/model.tflite')
    export.save_onnx(classifier, 'exports/model.onnx')
    run = export.tflite_runner('exports/model.tflite')
    parity = export.compare(probabilities, run(images))

All accept raw uint8 images in batches of any size, and contain the label names.
SavedModel and TF Lite also accept float32 in [0, 1], and a SavedModel the bytes
of PNG and JPEG files.
"""

from . import (
    classifier,
    function,
    onnx_file,
    parity,
    pictures,
    saved_model,
    tflite,
)

Classifier = classifier.Classifier
Exportable = function.Exportable
Function = function.Function
FunctionRunner = function.Runner
IMAGE_BYTES = pictures.BYTES
OUTPUTS = classifier.OUTPUTS
PARITY_LIMIT = parity.LIMIT
Parity = parity.Parity
QUANTIZATIONS = tflite.QUANTIZATIONS
Runner = classifier.Runner
SAVED_MODEL_CONTENTS = saved_model.CONTENTS
UnsupportedError = function.UnsupportedError
classifier_runner = classifier.classifier_runner
compare = parity.compare
is_picture = pictures.are
onnx_function = onnx_file.onnx_function
onnx_labels = onnx_file.onnx_labels
save_onnx = onnx_file.save_onnx
save_saved_model = saved_model.save_saved_model
save_tflite = tflite.save_tflite
saved_model_function = saved_model.saved_model_function
saved_model_labels = saved_model.saved_model_labels
saved_model_runner = saved_model.saved_model_runner
tflite_function = tflite.tflite_function
tflite_labels = tflite.tflite_labels
tflite_runner = tflite.tflite_runner

__all__ = [
    'IMAGE_BYTES',
    'OUTPUTS',
    'PARITY_LIMIT',
    'QUANTIZATIONS',
    'SAVED_MODEL_CONTENTS',
    'Classifier',
    'Exportable',
    'Function',
    'FunctionRunner',
    'Parity',
    'Runner',
    'UnsupportedError',
    'classifier_runner',
    'compare',
    'is_picture',
    'onnx_function',
    'onnx_labels',
    'save_onnx',
    'save_saved_model',
    'save_tflite',
    'saved_model_function',
    'saved_model_labels',
    'saved_model_runner',
    'tflite_function',
    'tflite_labels',
    'tflite_runner',
]
