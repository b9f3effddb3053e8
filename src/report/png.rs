//! PNG files of the figures, from the same SVG, in a font that comes with the program.

use std::sync::Arc;

use anyhow::Context as _;
use anyhow::Result;
use resvg::tiny_skia::Pixmap;
use resvg::tiny_skia::Transform;
use resvg::usvg::Options;
use resvg::usvg::Tree;
use resvg::usvg::fontdb::Database;

/// Dots for a pixel: sharp on paper as well.
const SCALE: f32 = 2.0;

/// The fonts, read once.
#[derive(Debug, Clone)]
pub(super) struct Painter {
    fonts: Arc<Database>,
}

impl Painter {
    pub(super) fn new() -> Painter {
        let mut fonts = Database::new();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        Painter { fonts: Arc::new(fonts) }
    }

    pub(super) fn paint(&self, svg: &str) -> Result<Vec<u8>> {
        let options = Options { fontdb: self.fonts.clone(), font_family: "DejaVu Sans".into(), ..Options::default() };
        let tree = Tree::from_str(svg, &options).context("a figure is no SVG")?;
        let size = tree.size().to_int_size().scale_by(SCALE).context("a figure has no size")?;
        let mut pixels = Pixmap::new(size.width(), size.height()).context("a figure is too large")?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().context("a figure cannot be a PNG")
    }
}
