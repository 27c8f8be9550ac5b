"""The transport on RabbitMQ: quorum queues, confirmed publishes, delivery limits, dead letters."""

from pipeline.rabbitmq.transport import RabbitTransport

__all__ = ["RabbitTransport"]
