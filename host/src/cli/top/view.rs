//! What `torsade top` shows of a status, and what its keys change of that: values, no terminal.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use crate::observe::status::{Rates, ServiceStatus, Status};

use super::shown::{Column, host};

/// How the services are sorted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct View {
    /// By which column.
    pub sort: Column,
    /// The other way round.
    pub reversed: bool,
}

impl Default for View {
    fn default() -> Self {
        Self { sort: Column::Name, reversed: false }
    }
}

impl View {
    /// What is shown once this key was pressed; `None` where it ends the program.
    pub fn on_key(self, key: KeyEvent) -> Option<Self> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => Some(self),
            KeyCode::Char('c') if is_control => None,
            KeyCode::Char('q') | KeyCode::Esc => None,
            KeyCode::Char('r') => Some(Self { reversed: !self.reversed, ..self }),
            KeyCode::Char(letter) if !is_control => {
                let column = Column::ALL.into_iter().find(|column| column.key() == letter);
                Some(column.map_or(self, |sort| Self { sort, reversed: false }))
            }
            _ => Some(self),
        }
    }

    /// Draws a status, with the rates since an earlier one where there is one.
    pub fn draw(self, frame: &mut Frame<'_>, now: &Status, before: Option<&Status>) {
        let [top, middle, bottom] =
            Layout::vertical([Constraint::Length(2), Constraint::Min(1), Constraint::Length(1)])
                .areas(frame.area());
        frame.render_widget(Line::from(host(now)).bold(), top);
        frame.render_widget(self.table(now, before), middle);
        let keys = "(x) sorts by a column  r turns round  q quits";
        frame.render_widget(Line::from(keys).dim(), bottom);
    }

    fn table(self, now: &Status, before: Option<&Status>) -> Table<'static> {
        let services = self.sorted(now, before);
        let cells = |(service, rates): &(&ServiceStatus, Option<Rates>)| {
            Column::ALL.map(|column| column.cell(service, *rates))
        };
        let header = Column::ALL.map(|column| {
            let (name, sign) = (column.name(), if column == self.sort { "*" } else { "" });
            format!("({}){}{sign}", column.key(), &name[1..])
        });
        let rows: Vec<_> = services.iter().map(cells).collect();
        let width = |place: usize| {
            let all = [&header].into_iter().chain(&rows).map(|row| row[place].len());
            Constraint::Length(u16::try_from(all.max().unwrap_or(0)).unwrap_or(u16::MAX))
        };
        let widths: [Constraint; Column::ALL.len()] = std::array::from_fn(width);
        let row = |cells: [String; Column::ALL.len()]| {
            let lines = cells.into_iter().enumerate().map(|(place, cell)| match place {
                0 => Line::from(cell),
                _ => Line::from(cell).right_aligned(),
            });
            Row::new(lines.collect::<Vec<_>>())
        };
        let table = Table::new(rows.into_iter().map(row), widths).column_spacing(2);
        table.header(row(header).reversed())
    }

    fn sorted<'a>(
        self,
        now: &'a Status,
        before: Option<&Status>,
    ) -> Vec<(&'a ServiceStatus, Option<Rates>)> {
        let rates = |service| before.and_then(|before| now.rates(before, service));
        let services = now.services.iter();
        let mut services: Vec<_> = services.map(|service| (service, rates(service))).collect();
        services.sort_by(|one, other| {
            let order = self.sort.compare(*one, *other);
            if self.reversed { order.reverse() } else { order }
        });
        services
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::shown::tests::statuses;
    use super::*;

    fn drawn(view: View, now: &Status, before: Option<&Status>) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(125, 6)).unwrap();
        terminal.draw(|frame| view.draw(frame, now, before)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..125).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..6).map(|y| line(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_status_is_drawn_as_it_is() {
        let (now, before) = statuses();
        assert_eq!(
            drawn(View::default(), &now, Some(&before)),
            [
                "torsade 0.1.0, up 1min 1s, 2 workers, 2 services, pool: 0 at work, 0 wait",
                "",
                "(n)ame*  (c)onnections  (a)ccepted/s   (i)n/s  (o)ut/s  (e)vents/s  (s)andboxes  \
                 (m)emory  (p)rocessor  (l)imits reached",
                "echo                12             0  3.9 KiB      0 B           0            0   \
                 3.0 MiB         0.0%                 0",
                "site             1,200             0      0 B      0 B           0            0   \
                 3.0 MiB         0.0%                 5",
                "(x) sorts by a column  r turns round  q quits",
            ]
        );
        let without_rates = drawn(View::default(), &now, None);
        assert!(without_rates[3].starts_with("echo                12             -       -"));
    }

    #[test]
    fn services_are_sorted_by_the_column() {
        let (now, before) = statuses();
        let first = |view: View| {
            let line = drawn(view, &now, Some(&before)).swap_remove(3);
            line.split_whitespace().next().unwrap_or_default().to_owned()
        };
        for (sort, want) in
            [(Column::Name, "echo"), (Column::Connections, "site"), (Column::In, "echo")]
        {
            assert_eq!(first(View { sort, reversed: false }), want, "{sort:?}");
            assert_ne!(first(View { sort, reversed: true }), want, "{sort:?}");
        }
    }

    #[test]
    fn keys_sort_turn_round_and_end() {
        let press = |view: View, code| view.on_key(KeyEvent::new(code, KeyModifiers::NONE));
        let view = View::default();
        let by_memory = press(view, KeyCode::Char('m')).unwrap();
        assert_eq!(by_memory, View { sort: Column::Memory, reversed: false });
        let turned = press(by_memory, KeyCode::Char('r')).unwrap();
        assert_eq!(turned, View { sort: Column::Memory, reversed: true });
        assert_eq!(press(turned, KeyCode::Char('c')).unwrap().sort, Column::Connections);
        for ignored in [KeyCode::Char('z'), KeyCode::Enter, KeyCode::Char('é')] {
            assert_eq!(press(turned, ignored), Some(turned));
        }
        assert_eq!(press(view, KeyCode::Char('q')), None);
        assert_eq!(press(view, KeyCode::Esc), None);
        let control = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.on_key(control), None);
        let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(view.on_key(released), Some(view));
    }
}
