//! Where the nodes of a graph are on a page: columns from left to right, so that each node is to the right of those with an
//! arrow to it (longest paths), few arrows cross (barycentres), and nodes are near their neighbours.

use crate::report::Graph;
use rustc_hash::FxHashMap;

/// How often the order within the columns is improved.
const SWEEPS: usize = 8;

/// The height of a node.
pub(super) const HEIGHT: f64 = 40.0;
/// The space between the nodes of a column.
const GAP: f64 = 14.0;
/// The space that an arrow takes that passes a column.
const LANE: f64 = 10.0;
/// The space between two columns.
const BETWEEN: f64 = 72.0;
/// The space around the graph.
const MARGIN: f64 = 12.0;

/// A graph on a page.
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    /// The left side and the middle of each node, in their order.
    pub nodes: Vec<(f64, f64)>,
    /// The points that each arrow passes, in their order: the right side of a column, then the left side of the next one.
    pub edges: Vec<Vec<(f64, f64)>>,
}

/// A node in a column, or an arrow that passes it.
struct Item {
    column: usize,
    node: Option<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
    /// The middle.
    y: f64,
}

impl Item {
    fn room(&self) -> f64 {
        match self.node {
            Some(_) => HEIGHT + GAP,
            None => LANE,
        }
    }
}

/// Finds places for nodes with these widths.
pub(super) fn lay_out(graph: &Graph, widths: &[f64]) -> Layout {
    let columns = columns(graph);
    let mut items: Vec<Item> = columns
        .iter()
        .enumerate()
        .map(|(node, column)| item(*column, Some(node)))
        .collect();
    // The items of each arrow, from its start to its end.
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(graph.edges.len());
    // Arrows from one node share their way as long as they can.
    let mut lanes: FxHashMap<(usize, usize), usize> = FxHashMap::default();
    for (from, to) in &graph.edges {
        let (start, end) = (column_of(&columns, *from), column_of(&columns, *to));
        let mut way = vec![*from];
        for column in start + 1..end {
            let lane = *lanes.entry((*from, column)).or_insert_with(|| {
                items.push(item(column, None));
                items.len() - 1
            });
            way.push(lane);
        }
        way.push(*to);
        if start < end {
            for (a, b) in way.iter().zip(way.iter().skip(1)) {
                link(&mut items, *a, *b);
            }
        }
        ways.push(way);
    }
    let count = columns.iter().max().map_or(0, |last| last + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, item) in items.iter().enumerate() {
        if let Some(row) = rows.get_mut(item.column) {
            row.push(at);
        }
    }
    for row in &rows {
        stack(&mut items, row);
    }
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        for_each_column(&mut rows, forward, |row| {
            let mut wanted: Vec<(f64, usize)> = row
                .iter()
                .map(|at| (middle(&items, *at, Some(forward)), *at))
                .collect();
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
            *row = wanted.into_iter().map(|(_, at)| at).collect();
            stack(&mut items, row);
        });
    }
    for sweep in 0..SWEEPS {
        let side = [Some(true), Some(false), None]
            .get(sweep % 3)
            .copied()
            .flatten();
        for_each_column(&mut rows, sweep % 2 == 0, |row| {
            settle(&mut items, row, side)
        });
    }
    place(&columns, widths, &items, &ways, count)
}

fn item(column: usize, node: Option<usize>) -> Item {
    Item {
        column,
        node,
        before: Vec::new(),
        after: Vec::new(),
        y: 0.0,
    }
}

fn link(items: &mut [Item], from: usize, to: usize) {
    if let Some(item) = items.get_mut(from)
        && !item.after.contains(&to)
    {
        item.after.push(to);
        if let Some(item) = items.get_mut(to) {
            item.before.push(from);
        }
    }
}

fn column_of(columns: &[usize], node: usize) -> usize {
    columns.get(node).copied().unwrap_or(0)
}

fn for_each_column(rows: &mut [Vec<usize>], forward: bool, mut work: impl FnMut(&mut Vec<usize>)) {
    if forward {
        rows.iter_mut().for_each(work);
    } else {
        rows.iter_mut().rev().for_each(&mut work);
    }
}

/// The column of each node: the longest way to it. One without an arrow to it is beside what it has an arrow to.
fn columns(graph: &Graph) -> Vec<usize> {
    let mut columns = vec![0_usize; graph.nodes.len()];
    let mut has_before = vec![false; graph.nodes.len()];
    // The arrows are sorted by their starts, and a node follows those with an arrow to it.
    for (from, to) in graph.edges.iter().filter(|(from, to)| from < to) {
        let next = column_of(&columns, *from) + 1;
        if let (Some(column), Some(has)) = (columns.get_mut(*to), has_before.get_mut(*to)) {
            *column = next.max(*column);
            *has = true;
        }
    }
    let mut nearest: FxHashMap<usize, usize> = FxHashMap::default();
    for (from, to) in graph.edges.iter().filter(|(from, to)| from < to) {
        let column = column_of(&columns, *to);
        let near = nearest.entry(*from).or_insert(column);
        *near = column.min(*near);
    }
    for (at, near) in nearest {
        if has_before.get(at) == Some(&false)
            && let Some(column) = columns.get_mut(at)
        {
            *column = near.saturating_sub(1);
        }
    }
    columns
}

/// Stacks the items of a column in their order.
fn stack(items: &mut [Item], row: &[usize]) {
    let mut y = 0.0;
    for at in row {
        if let Some(item) = items.get_mut(*at) {
            item.y = y + item.room() / 2.0;
            y += item.room();
        }
    }
    // Short columns are beside the middle of long ones.
    for at in row {
        if let Some(item) = items.get_mut(*at) {
            item.y -= y / 2.0;
        }
    }
}

/// The mean of the places of an item's neighbours: those before it, after it, or all.
fn middle(items: &[Item], at: usize, before: Option<bool>) -> f64 {
    let Some(item) = items.get(at) else {
        return 0.0;
    };
    let before_it = item.before.iter().filter(|_| before != Some(false));
    let after_it = item.after.iter().filter(|_| before != Some(true));
    let places = before_it.chain(after_it).filter_map(|at| items.get(*at));
    let (sum, count) = places.fold((0.0, 0.0), |(sum, count), item| (sum + item.y, count + 1.0));
    if count > 0.0 { sum / count } else { item.y }
}

/// Items without a space between them.
struct Block {
    /// The sum of where its items want its top to be.
    sum: f64,
    /// Their number.
    count: f64,
    /// The items, and where each of them is below the top.
    members: Vec<(usize, f64)>,
}

impl Block {
    fn wanted(&self) -> f64 {
        self.sum / self.count
    }
}

/// Moves the items of a column as near to their neighbours as their order and size allow: neighbours that want the same place
/// become a block, in the middle of what they want.
fn settle(items: &mut [Item], row: &[usize], side: Option<bool>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut offset = 0.0;
    for at in row {
        let room = items.get(*at).map_or(0.0, Item::room);
        offset += room / 2.0;
        let mut block = Block {
            sum: middle(items, *at, side) - offset,
            count: 1.0,
            members: vec![(*at, offset)],
        };
        while let Some(last) = blocks.pop_if(|last| last.wanted() >= block.wanted()) {
            let mut members = last.members;
            members.append(&mut block.members);
            block = Block {
                sum: last.sum + block.sum,
                count: last.count + block.count,
                members,
            };
        }
        blocks.push(block);
        offset += room / 2.0;
    }
    for block in blocks {
        for (at, offset) in &block.members {
            if let Some(item) = items.get_mut(*at) {
                item.y = block.wanted() + offset;
            }
        }
    }
}

/// From the items to the page.
fn place(
    columns: &[usize],
    widths: &[f64],
    items: &[Item],
    ways: &[Vec<usize>],
    count: usize,
) -> Layout {
    let mut widest = vec![0.0_f64; count];
    for (column, width) in columns.iter().zip(widths) {
        if let Some(wide) = widest.get_mut(*column) {
            *wide = wide.max(*width);
        }
    }
    let mut x = MARGIN;
    let sides: Vec<(f64, f64)> = widest
        .iter()
        .map(|width| {
            let left = x;
            x += width + BETWEEN;
            (left, left + width)
        })
        .collect();
    let top = items.iter().map(|item| item.y).fold(f64::MAX, f64::min);
    let bottom = items.iter().map(|item| item.y).fold(f64::MIN, f64::max);
    let shift = MARGIN + HEIGHT / 2.0 - top.min(bottom);
    let side = |column: usize| sides.get(column).copied().unwrap_or_default();
    let nodes = items.iter().zip(widths);
    let nodes = nodes.map(|(item, _)| (side(item.column).0, item.y + shift));
    let edges = ways.iter().map(|way| {
        let last = way.len().saturating_sub(1);
        let mut points = Vec::with_capacity(2 * way.len());
        for (step, at) in way.iter().enumerate() {
            let Some(item) = items.get(*at) else {
                continue;
            };
            let (left, right) = side(item.column);
            let y = item.y + shift;
            if step > 0 {
                points.push((left, y));
            }
            if step < last {
                let width = item.node.and_then(|node| widths.get(node));
                points.push((width.map_or(right, |width| left + width), y));
                if item.node.is_some() {
                    // Out of the column, before it turns.
                    points.push((right, y));
                }
            }
        }
        points
    });
    Layout {
        width: (x - BETWEEN + MARGIN).max(2.0 * MARGIN),
        height: (bottom - top).max(0.0) + HEIGHT + 2.0 * MARGIN,
        nodes: nodes.collect(),
        edges: edges.collect(),
    }
}
