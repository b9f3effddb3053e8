//! Which screen a run gets: rows and lines on a terminal, lines in a pipe, JSON if asked.

use std::io;
use std::io::IsTerminal;

use console::Term;

use crate::cli::args::Running;
use crate::cli::console::Console;
use crate::ui::live::Live;
use crate::ui::live::Pause;
use crate::ui::look::Colour;
use crate::ui::look::Diffs;
use crate::ui::look::Look;
use crate::ui::look::WIDTH;
use crate::ui::screen::Form;
use crate::ui::screen::Screen;

/// The narrowest width text is set to; below, the terminal wraps.
const NARROW: usize = 40;

/// The look of stdout.
pub(super) fn look(console: &Console, running: &Running) -> Look {
    let width = match io::stdout().is_terminal() {
        true => usize::from(Term::stdout().size().1).max(NARROW),
        false => WIDTH,
    };
    let diffs = if running.diff { Diffs::Shown } else { Diffs::Hidden };
    Look { width, colour: Colour::of(&io::stdout()), verbose: console.verbose, diffs }
}

/// The screen of a run. Live rows need a terminal on both streams: lines go to one, rows to the other.
pub(super) fn screen(console: &Console, pause: &Pause, running: &Running) -> Screen {
    if running.json {
        return Screen::new(Form::Json, &console.redactor, Box::new(io::stdout()), None);
    }
    let look = look(console, running);
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let live = io::stdout().is_terminal() && io::stderr().is_terminal() && !dumb;
    let rows = Look { colour: Colour::of(&io::stderr()), ..look.clone() };
    let live = live.then(|| Live::start(&rows, &console.redactor, pause));
    Screen::new(Form::Text(look), &console.redactor, Box::new(io::stdout()), live)
}
