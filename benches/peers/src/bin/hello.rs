//! The floor of every start: a program that prints a line.

fn main() {
    println!("hello");
}
