//! Which container images stand for the backends: the official ones, or those that the environment names.

use chatwright_simulator::backends::Images;

/// The images: `CHATWRIGHT_IMAGE_REDIS`, `CHATWRIGHT_IMAGE_MONGODB`, ... over the official ones.
pub(crate) fn images() -> Images {
    Images::named_by(|variable| std::env::var(variable).ok())
}
