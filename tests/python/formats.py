"""Writes and reads JSON Schema and Protobuf with Confluent's own serializers.

formats.py write BOOTSTRAP REGISTRY JSON_TOPIC PROTOBUF_TOPIC
formats.py read BOOTSTRAP REGISTRY JSON_TOPIC PROTOBUF_TOPIC     one line of JSON a message
formats.py nested BOOTSTRAP REGISTRY TOPIC HEX     reads a nested message, and prints one in HEX
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

SCHEMA = json.dumps({
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "Note", "type": "object",
    "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["text", "count"], "additionalProperties": False})

FILE = descriptor_pb2.FileDescriptorProto(
    name="note.proto", package="border", syntax="proto3",
    message_type=[descriptor_pb2.DescriptorProto(name="Note", field=[
        descriptor_pb2.FieldDescriptorProto(name="text", number=1, type=9, label=1),
        descriptor_pb2.FieldDescriptorProto(name="count", number=2, type=3, label=1)])])


SEVERAL = descriptor_pb2.FileDescriptorProto(
    name="several.proto", package="border", syntax="proto3",
    message_type=[
        descriptor_pb2.DescriptorProto(name="First"),
        descriptor_pb2.DescriptorProto(
            name="Second",
            field=[descriptor_pb2.FieldDescriptorProto(
                name="tags", number=1, type=11, label=3, type_name=".border.Second.TagsEntry")],
            nested_type=[
                descriptor_pb2.DescriptorProto(
                    name="TagsEntry", options=descriptor_pb2.MessageOptions(map_entry=True),
                    field=[
                        descriptor_pb2.FieldDescriptorProto(name="key", number=1, type=9, label=1),
                        descriptor_pb2.FieldDescriptorProto(
                            name="value", number=2, type=9, label=1)]),
                descriptor_pb2.DescriptorProto(name="Inner", field=[
                    descriptor_pb2.FieldDescriptorProto(name="text", number=1, type=9, label=1),
                    descriptor_pb2.FieldDescriptorProto(
                        name="count", number=2, type=3, label=1)])])])


def message_class(file, name):
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def note_class():
    return message_class(FILE, "border.Note")


def nested(registry, topic, text):
    inner = message_class(SEVERAL, "border.Second.Inner")
    context = SerializationContext(topic, MessageField.VALUE)
    value = ProtobufDeserializer(inner, {"use.deprecated.format": False})(bytes.fromhex(text), context)
    serializer = ProtobufSerializer(inner, registry, {"use.deprecated.format": False})
    print(value.text, value.count, serializer(value, context).hex())


def write(bootstrap, registry, topics):
    note = note_class()
    writers = [
        (topics[0], JSONSerializer(SCHEMA, registry), {"text": "from Python", "count": 5}),
        (topics[1], ProtobufSerializer(note, registry, {"use.deprecated.format": False}),
         note(text="from Python", count=5))]
    producer = Producer({"bootstrap.servers": bootstrap})
    for topic, serializer, value in writers:
        context = SerializationContext(topic, MessageField.VALUE)
        producer.produce(topic, key="python", value=serializer(value, context))
    producer.flush(30)


def messages(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "formats.py",
                         "enable.partition.eof": True, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    while True:
        message = consumer.poll(30)
        if message is None or message.error():
            consumer.close()
            return
        yield message


def read(bootstrap, topics):
    note = note_class()
    readers = [
        (topics[0], JSONDeserializer(SCHEMA), lambda value: value),
        (topics[1], ProtobufDeserializer(note, {"use.deprecated.format": False}),
         lambda value: {"text": value.text, "count": value.count})]
    for topic, deserializer, shown in readers:
        for message in messages(bootstrap, topic):
            context = SerializationContext(topic, MessageField.VALUE)
            value = shown(deserializer(message.value(), context))
            print(json.dumps({"topic": topic, "key": message.key().decode(), "value": value}))


if __name__ == "__main__":
    what, bootstrap, url, *topics = sys.argv[1:]
    if what == "write":
        write(bootstrap, SchemaRegistryClient({"url": url}), topics)
    elif what == "nested":
        nested(SchemaRegistryClient({"url": url}), *topics)
    else:
        read(bootstrap, topics)
