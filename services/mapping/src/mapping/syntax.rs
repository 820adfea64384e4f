//! What the compiler does not tell about a program, read from its syntax tree: constant routes and
//! called functions.

use std::collections::BTreeSet;

use vrl::diagnostic::Span;
use vrl::parser::ast::{
    Assignment, AssignmentTarget, Block, Container, Expr, Literal, Node, Predicate, QueryTarget,
    RootExpr, Unary,
};
use vrl::path::{OwnedValuePath, PathPrefix};

/// Holds what the tree says.
#[derive(Debug, Default)]
pub(super) struct Syntax {
    /// Topics that are assigned to `%topic` as a constant, and where.
    pub(super) routes: Vec<(String, Span)>,
    /// Whether `%topic` is also assigned something that is known only when it runs.
    pub(super) dynamic_route: bool,
    /// Names of the called functions.
    pub(super) functions: BTreeSet<String>,
    /// Whether the program can end before its last line with `.` as it is then.
    pub(super) returns: bool,
}

impl Syntax {
    /// Reads a program; one that does not parse has nothing, as the compiler reports it.
    pub(super) fn of(source: &str) -> Self {
        let mut syntax = Self::default();
        if let Ok(program) = vrl::parser::parse(source) {
            for root in program.0 {
                if let RootExpr::Expr(expr) = root.into_inner() {
                    syntax.expr(expr);
                }
            }
        }
        syntax
    }

    fn expr(&mut self, expr: Node<Expr>) {
        match expr.into_inner() {
            Expr::Literal(_) | Expr::Variable(_) | Expr::Break(_) => {}
            Expr::Container(container) => self.container(container.into_inner()),
            Expr::IfStatement(statement) => {
                let statement = statement.into_inner();
                match statement.predicate.into_inner() {
                    Predicate::One(expr) => self.expr(*expr),
                    Predicate::Many(exprs) => exprs.into_iter().for_each(|e| self.expr(e)),
                }
                self.block(statement.if_node);
                statement.else_node.into_iter().for_each(|block| self.block(block));
            }
            Expr::Op(op) => {
                let op = op.into_inner();
                self.expr(*op.0);
                self.expr(*op.2);
            }
            Expr::Assignment(assignment) => self.assignment(assignment.into_inner()),
            Expr::Query(query) => match query.into_inner().target.into_inner() {
                QueryTarget::FunctionCall(call) => self.call(call),
                QueryTarget::Container(container) => self.container(container),
                QueryTarget::Internal(_) | QueryTarget::External(_) => {}
            },
            Expr::FunctionCall(call) => self.call(call.into_inner()),
            Expr::Unary(unary) => {
                let Unary::Not(not) = unary.into_inner();
                self.expr(*not.into_inner().take().1);
            }
            Expr::Abort(abort) => {
                abort.into_inner().message.into_iter().for_each(|message| self.expr(*message));
            }
            Expr::Return(node) => {
                self.returns = true;
                self.expr(*node.into_inner().expr);
            }
        }
    }

    fn block(&mut self, block: Node<Block>) {
        block.into_inner().into_iter().for_each(|expr| self.expr(expr));
    }

    fn container(&mut self, container: Container) {
        match container {
            Container::Group(group) => self.expr(group.into_inner().into_inner()),
            Container::Block(block) => self.block(block),
            Container::Array(array) => {
                array.into_inner().into_iter().for_each(|expr| self.expr(expr));
            }
            Container::Object(object) => {
                object.into_inner().into_iter().for_each(|(_, expr)| self.expr(expr));
            }
        }
    }

    fn call(&mut self, call: vrl::parser::ast::FunctionCall) {
        self.functions.insert(call.ident.into_inner().into_inner());
        for argument in call.arguments {
            self.expr(argument.into_inner().expr);
        }
        call.closure.into_iter().for_each(|closure| self.block(closure.into_inner().block));
    }

    fn assignment(&mut self, assignment: Assignment) {
        let expr = match assignment {
            Assignment::Single { target, expr, .. } => {
                if is_topic(target.inner()) {
                    self.route(&expr);
                }
                expr
            }
            Assignment::Infallible { ok, expr, .. } => {
                self.dynamic_route |= is_topic(ok.inner());
                expr
            }
        };
        self.expr(*expr);
    }

    fn route(&mut self, expr: &Node<Expr>) {
        if let Expr::Literal(literal) = expr.inner() {
            match literal.inner() {
                Literal::RawString(topic) => {
                    return self.routes.push((topic.clone(), expr.span()));
                }
                Literal::String(template) => {
                    if let Some(topic) = template.as_literal_string() {
                        return self.routes.push((topic.to_owned(), expr.span()));
                    }
                }
                Literal::Null => return,
                _ => {}
            }
        }
        self.dynamic_route = true;
    }
}

fn is_topic(target: &AssignmentTarget) -> bool {
    let topic = |path: &OwnedValuePath| *path == OwnedValuePath::single_field("topic");
    match target {
        AssignmentTarget::External(Some(path)) => {
            path.prefix == PathPrefix::Metadata && topic(&path.path)
        }
        AssignmentTarget::Query(query) => {
            *query.target.inner() == QueryTarget::External(PathPrefix::Metadata)
                && topic(query.path.inner())
        }
        AssignmentTarget::Noop
        | AssignmentTarget::Internal(..)
        | AssignmentTarget::External(None) => false,
    }
}
