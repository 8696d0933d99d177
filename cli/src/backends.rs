//! Which container images stand for the backends: the official ones, or those that the environment names.

use chatwright_simulator::backends::Images;

/// The images, with `CHATWRIGHT_IMAGE_REDIS` over the official one.
pub(crate) fn images() -> Images {
    let mut images = Images::default();
    if let Some(image) = std::env::var("CHATWRIGHT_IMAGE_REDIS").ok().filter(|image| !image.is_empty()) {
        images.redis = image;
    }
    images
}
