//! From words to a tree, by precedence climbing.

use super::ExpressionError;
use super::tokens::{Token, TokenKind, failure, tokens};
use crate::Value;

/// How deep an expression may nest.
const MAX_DEPTH: usize = 64;
/// How many operators or members may follow each other: `a + b + c` and `a.b.c` are trees, too.
const MAX_LINKS: usize = 256;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// `None` is `undefined`.
    Literal(Option<Value>),
    Name(String),
    /// `a.b` and `a[b]`; `?.` gives `undefined` where `a` is null.
    Member(Box<Node>, Box<Node>, Missing),
    /// A method or a function of the language, by name: `a.trim()`, `Math.max(a)`, `Number(a)`.
    Call(Callee, Vec<Node>),
    Arrow(Vec<String>, Box<Node>),
    Unary(&'static str, Box<Node>),
    Binary(&'static str, Box<Node>, Box<Node>),
    Conditional(Box<Node>, Box<Node>, Box<Node>),
    /// Elements; the flag is a spread `...`.
    Array(Vec<(Node, Spread)>),
    Object(Vec<(String, Node)>),
    Template(Vec<String>, Vec<Node>),
}

#[derive(Debug, Clone)]
pub(super) enum Callee {
    Method(Box<Node>, String, Missing),
    Function(String),
}

/// What a member of null or `undefined` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Throws,
    Undefined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    One,
    Each,
}

/// Functions that need no object, and the objects whose functions are known.
const FUNCTIONS: [&str; 5] = ["Number", "String", "Boolean", "parseInt", "parseFloat"];
const NAMESPACES: [&str; 6] = ["Math", "Array", "Object", "JSON", "Date", "Number"];

struct Parser<'a> {
    text: &'a str,
    /// What is added to places: a template's part stands within another text.
    offset: usize,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    /// How many links are on the way to the deepest part of what was read since the last chain began.
    links: usize,
}

pub(super) fn parse(text: &str) -> Result<Node, ExpressionError> {
    let mut parser = Parser::new(text, text, 0)?;
    parser.whole()
}

impl<'a> Parser<'a> {
    /// Of a part of `whole` that begins at `offset`.
    fn new(whole: &'a str, part: &str, offset: usize) -> Result<Parser<'a>, ExpressionError> {
        let tokens = tokens(part)
            .map_err(|error| ExpressionError { at: error.at + offset, message: error.message })?;
        Ok(Parser { text: whole, offset, tokens, next: 0, depth: 0, links: 0 })
    }

    fn whole(&mut self) -> Result<Node, ExpressionError> {
        let node = self.expression()?;
        self.eat(";");
        match self.peek() {
            TokenKind::End => Ok(node),
            _ => Err(self.unexpected()),
        }
    }

    /// What stands between the braces of a template.
    fn part(&mut self, part: &str, start: usize) -> Result<Node, ExpressionError> {
        let mut parser = Parser::new(self.text, part, self.offset + start)?;
        parser.depth = self.depth;
        let node = parser.whole()?;
        self.links = self.links.max(parser.links);
        Ok(node)
    }

    fn deeper(&mut self) -> Result<(), ExpressionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail("the expression nests too deep"));
        }
        Ok(())
    }

    /// Counts one more operator or member on top of what was read.
    fn link(&mut self) -> Result<(), ExpressionError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.fail("too many operators follow each other"));
        }
        Ok(())
    }

    fn peek(&self) -> &TokenKind {
        &self.tokens[self.next.min(self.tokens.len() - 1)].kind
    }

    fn at(&self) -> usize {
        self.offset + self.tokens[self.next.min(self.tokens.len() - 1)].at
    }

    fn take(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), TokenKind::Sign(found) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), ExpressionError> {
        if self.eat(sign) { Ok(()) } else { Err(self.fail(format!("expected '{sign}'"))) }
    }

    fn fail(&self, message: impl Into<String>) -> ExpressionError {
        failure(self.text, self.at(), message)
    }

    fn unexpected(&self) -> ExpressionError {
        match self.peek() {
            TokenKind::End => self.fail("unexpected end of the expression"),
            TokenKind::Sign(sign) => self.fail(format!("unexpected '{sign}'")),
            TokenKind::Name(name) => self.fail(format!("unexpected '{name}'")),
            TokenKind::Number(_) | TokenKind::Text(_) | TokenKind::Template(..) => {
                self.fail("expected an operator")
            }
        }
    }

    fn expression(&mut self) -> Result<Node, ExpressionError> {
        self.deeper()?;
        let node = if let Some(parameters) = self.arrow_parameters() {
            Node::Arrow(parameters, Box::new(self.expression()?))
        } else {
            let condition = self.binary(0)?;
            if self.eat("?") {
                let then = self.expression()?;
                self.expect(":")?;
                let otherwise = self.expression()?;
                Node::Conditional(Box::new(condition), Box::new(then), Box::new(otherwise))
            } else {
                condition
            }
        };
        self.depth -= 1;
        Ok(node)
    }

    /// `x =>` or `(x, y) =>`, if that comes next.
    fn arrow_parameters(&mut self) -> Option<Vec<String>> {
        let start = self.next;
        let mut names = Vec::new();
        let arrow = match self.take() {
            TokenKind::Name(name) => {
                names.push(name);
                self.eat("=>")
            }
            TokenKind::Sign("(") => {
                while let TokenKind::Name(name) = self.peek().clone() {
                    names.push(name);
                    self.next += 1;
                    if !self.eat(",") {
                        break;
                    }
                }
                self.eat(")") && self.eat("=>")
            }
            _ => false,
        };
        if !arrow {
            self.next = start;
            return None;
        }
        Some(names)
    }

    fn binary(&mut self, least: u8) -> Result<Node, ExpressionError> {
        let outside = std::mem::take(&mut self.links);
        let mut left = self.unary()?;
        while let TokenKind::Sign(sign) = self.peek()
            && let Some(strength) = strength(sign)
            && strength >= least
        {
            let sign = *sign;
            self.next += 1;
            // `**` binds to the right, all others to the left.
            let right = match sign {
                "**" => {
                    self.deeper()?;
                    let right = self.binary(strength)?;
                    self.depth -= 1;
                    right
                }
                _ => self.binary(strength + 1)?,
            };
            self.link()?;
            left = Node::Binary(sign, Box::new(left), Box::new(right));
        }
        self.links = self.links.max(outside);
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, ExpressionError> {
        self.deeper()?;
        let sign = match self.peek() {
            TokenKind::Sign(sign @ ("!" | "-" | "+")) => Some(*sign),
            TokenKind::Name(name) if name == "typeof" => Some("typeof"),
            _ => None,
        };
        let node = match sign {
            Some(sign) => {
                self.next += 1;
                Node::Unary(sign, Box::new(self.unary()?))
            }
            None => self.postfix()?,
        };
        self.depth -= 1;
        Ok(node)
    }

    fn postfix(&mut self) -> Result<Node, ExpressionError> {
        let outside = std::mem::take(&mut self.links);
        let mut node = self.primary()?;
        while let Some(linked) = self.linked(&mut node)? {
            node = linked;
            self.link()?;
        }
        self.links = self.links.max(outside);
        Ok(node)
    }

    /// A member or a call of `node`, which is taken then; `None` where neither follows.
    fn linked(&mut self, node: &mut Node) -> Result<Option<Node>, ExpressionError> {
        let missing = if self.eat("?.") {
            Missing::Undefined
        } else if self.is("[") || self.eat(".") {
            Missing::Throws
        } else {
            return Ok(None);
        };
        let taken = std::mem::replace(node, Node::Literal(None));
        if self.eat("[") {
            let index = self.expression()?;
            self.expect("]")?;
            return Ok(Some(Node::Member(Box::new(taken), Box::new(index), missing)));
        }
        let at = self.next;
        let TokenKind::Name(name) = self.take() else {
            self.next = at;
            return Err(self.fail("expected a name"));
        };
        if !self.is("(") {
            let name = Node::Literal(Some(Value::from(name)));
            return Ok(Some(Node::Member(Box::new(taken), Box::new(name), missing)));
        }
        let callee = match &taken {
            Node::Name(namespace) if NAMESPACES.contains(&namespace.as_str()) => {
                Callee::Function(format!("{namespace}.{name}"))
            }
            _ => Callee::Method(Box::new(taken), name, missing),
        };
        self.check(&callee, at)?;
        Ok(Some(Node::Call(callee, self.arguments()?)))
    }

    /// Refuses what would not be understood when it runs.
    fn check(&mut self, callee: &Callee, at: usize) -> Result<(), ExpressionError> {
        let (known, name) = match callee {
            Callee::Method(_, name, _) => (super::methods::is_method(name), name),
            Callee::Function(name) => (super::methods::is_function(name), name),
        };
        if known {
            return Ok(());
        }
        self.next = at;
        Err(self.fail(format!(
            "{name}() is not known in the expressions of a schema: compute this attribute by \
             setComputedAttribute"
        )))
    }

    fn arguments(&mut self) -> Result<Vec<Node>, ExpressionError> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        while !self.eat(")") {
            arguments.push(self.expression()?);
            if !self.eat(",") && !self.is(")") {
                return Err(self.fail("expected ')'"));
            }
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Result<Node, ExpressionError> {
        let at = self.next;
        match self.take() {
            TokenKind::Number(n) => Ok(Node::Literal(Some(Value::number(n)))),
            TokenKind::Text(text) => Ok(Node::Literal(Some(Value::String(text)))),
            TokenKind::Template(texts, parts) => {
                let parts = parts.iter().map(|(part, start)| self.part(part, *start));
                Ok(Node::Template(texts, parts.collect::<Result<_, _>>()?))
            }
            TokenKind::Name(name) => self.name(name, at),
            TokenKind::Sign("(") => {
                let node = self.expression()?;
                self.expect(")")?;
                Ok(node)
            }
            TokenKind::Sign("[") => self.array(),
            TokenKind::Sign("{") => self.object(),
            TokenKind::Sign(_) | TokenKind::End => {
                self.next = at;
                Err(self.unexpected())
            }
        }
    }

    fn name(&mut self, name: String, at: usize) -> Result<Node, ExpressionError> {
        match name.as_str() {
            "true" => Ok(Node::Literal(Some(Value::Bool(true)))),
            "false" => Ok(Node::Literal(Some(Value::Bool(false)))),
            "null" => Ok(Node::Literal(Some(Value::Null))),
            "undefined" => Ok(Node::Literal(None)),
            "NaN" => Ok(Node::Literal(Some(Value::Float(f64::NAN)))),
            "Infinity" => Ok(Node::Literal(Some(Value::Float(f64::INFINITY)))),
            "new" | "function" | "await" | "async" | "this" | "class" | "return" | "delete" => {
                self.next = at;
                Err(self.fail(format!(
                    "'{name}' is not known in the expressions of a schema: compute this attribute \
                     by setComputedAttribute"
                )))
            }
            _ if self.is("(") => {
                if !FUNCTIONS.contains(&name.as_str()) {
                    self.check(&Callee::Function(name.clone()), at)?;
                }
                Ok(Node::Call(Callee::Function(name), self.arguments()?))
            }
            _ => Ok(Node::Name(name)),
        }
    }

    fn array(&mut self) -> Result<Node, ExpressionError> {
        let mut elements = Vec::new();
        while !self.eat("]") {
            let spread = if self.eat("...") { Spread::Each } else { Spread::One };
            elements.push((self.expression()?, spread));
            if !self.eat(",") && !self.is("]") {
                return Err(self.fail("expected ']'"));
            }
        }
        Ok(Node::Array(elements))
    }

    fn object(&mut self) -> Result<Node, ExpressionError> {
        let mut properties = Vec::new();
        while !self.eat("}") {
            let at = self.next;
            let (TokenKind::Name(name) | TokenKind::Text(name)) = self.take() else {
                self.next = at;
                return Err(self.fail("expected a property's name"));
            };
            let value = if self.eat(":") { self.expression()? } else { Node::Name(name.clone()) };
            properties.push((name, value));
            if !self.eat(",") && !self.is("}") {
                return Err(self.fail("expected '}'"));
            }
        }
        Ok(Node::Object(properties))
    }
}

fn strength(sign: &str) -> Option<u8> {
    Some(match sign {
        "??" => 1,
        "||" => 2,
        "&&" => 3,
        "==" | "!=" | "===" | "!==" => 4,
        "<" | "<=" | ">" | ">=" => 5,
        "+" | "-" => 6,
        "*" | "/" | "%" => 7,
        "**" => 8,
        _ => return None,
    })
}

impl Node {
    /// Adds the names that are not bound by an arrow function around them.
    pub(super) fn free_names(&self, bound: &mut Vec<String>, names: &mut Vec<String>) {
        match self {
            Node::Literal(_) => {}
            Node::Name(name) => {
                if !bound.contains(name) && !names.contains(name) {
                    names.push(name.clone());
                }
            }
            Node::Member(object, index, _) => {
                object.free_names(bound, names);
                index.free_names(bound, names);
            }
            Node::Call(callee, arguments) => {
                if let Callee::Method(object, ..) = callee {
                    object.free_names(bound, names);
                }
                arguments.iter().for_each(|argument| argument.free_names(bound, names));
            }
            Node::Arrow(parameters, body) => {
                let outside = bound.len();
                bound.extend(parameters.iter().cloned());
                body.free_names(bound, names);
                bound.truncate(outside);
            }
            Node::Unary(_, operand) => operand.free_names(bound, names),
            Node::Binary(_, left, right) => {
                left.free_names(bound, names);
                right.free_names(bound, names);
            }
            Node::Conditional(condition, then, otherwise) => {
                condition.free_names(bound, names);
                then.free_names(bound, names);
                otherwise.free_names(bound, names);
            }
            Node::Array(elements) => {
                elements.iter().for_each(|(element, _)| element.free_names(bound, names));
            }
            Node::Object(properties) => {
                properties.iter().for_each(|(_, value)| value.free_names(bound, names));
            }
            Node::Template(_, parts) => {
                parts.iter().for_each(|part| part.free_names(bound, names));
            }
        }
    }
}
