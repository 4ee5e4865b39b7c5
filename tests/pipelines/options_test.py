"""What a user says of a data set is checked."""

from __future__ import annotations

from absl.testing import absltest, parameterized

from pipelines import errors, options


class OptionsTest(parameterized.TestCase):

  @parameterized.parameters(None, [(1, 1)], [(28, 32)])
  def test_sizes_of_images(self, size):
    self.assertEqual(options.Options(image_size=size).image_size, size)

  @parameterized.parameters([(0, 3)], [(3, -1)], [(3,)], [(3, 3, 1)])
  def test_no_sizes_of_images(self, size):
    with self.assertRaisesRegex(errors.DataError, 'image_size: .* got'):
      options.Options(image_size=size)


if __name__ == '__main__':
  absltest.main()
