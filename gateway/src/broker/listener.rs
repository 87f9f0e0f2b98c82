//! stub
use super::{Core, Mapper};
use std::sync::Arc;
pub(crate) async fn serve<M: Mapper>(_core: Arc<Core<M>>, _listener: tokio::net::TcpListener) {
    std::future::pending::<()>().await
}
