//! Initial memory contents, computed once for a library and mapped copy-on-write by each instance.

use std::sync::Arc;

use crate::jit::library::Library;
use crate::jit::module::{Module, SegmentMode};
use crate::mem::cow::Image;

/// The images of a library's defined memories.
#[derive(Debug, Default)]
pub struct Images {
    images: Vec<Option<Arc<Image>>>,
    /// Which data segments are in an image, so that instances need not copy them.
    covered: Vec<bool>,
}

impl Images {
    /// The images of `library`, made on first use.
    pub fn of(library: &Library) -> &Images {
        library.derived(Images::new)
    }

    /// The image of the `index`th defined memory, if it has one.
    #[must_use]
    pub fn image(&self, index: usize) -> Option<&Arc<Image>> {
        self.images.get(index)?.as_ref()
    }

    /// Whether a data segment is in an image.
    #[must_use]
    pub fn covers(&self, segment: usize) -> bool {
        self.covered.get(segment).copied().unwrap_or(false)
    }

    fn new(module: &Module) -> Images {
        let imported = module.imported.memories as usize;
        let mut images = Images { images: Vec::new(), covered: vec![false; module.data.len()] };
        for (index, ty) in module.memories.iter().enumerate().skip(imported) {
            let bytes = ty.minimum.saturating_mul(1 << ty.page_log2);
            let image = images.add(module, index, bytes);
            images.images.push(image);
        }
        images
    }

    /// The image of one memory. Without one, instances copy the segments, which always works.
    fn add(&mut self, module: &Module, memory: usize, bytes: u64) -> Option<Arc<Image>> {
        let mut segments = Vec::new();
        for (index, segment) in module.data.iter().enumerate() {
            match &segment.mode {
                SegmentMode::Active { target, offset } if *target as usize == memory => {
                    let contents = module.data_bytes(segment);
                    let at = u64::try_from(offset.constant()?).ok()?;
                    // One that traps, or whose place is not known yet: the ones before it are copied all the
                    // same.
                    at.checked_add(contents.len() as u64).filter(|end| *end <= bytes)?;
                    segments.push((index, usize::try_from(at).ok()?, contents));
                }
                _ => {}
            }
        }
        let placed: Vec<_> = segments.iter().map(|(_, at, contents)| (*at, *contents)).collect();
        let image = Image::new(&placed).ok()??;
        for (index, ..) in segments {
            self.covered[index] = true;
        }
        Some(Arc::new(image))
    }
}
