# A small shop behind Rack, recorded by stackprof: `ruby shop.rb before > shop_before.json`, the same with `after`.
# The pictures of docs/flamegraph.md are drawn from these two recordings.
require "digest"
require "erb"
require "json"
require "active_support"
require "active_support/core_ext"
require "rack"
require "rack/mock"
require "stackprof"

class Product
  attr_reader :name, :price, :tags

  def initialize(number)
    @name = "product #{number}"
    @price = number * 37 % 1000
    @tags = Array.new(8) { |tag| "tag#{number * tag % 13}" }
  end

  def discounted?
    price.to_s.each_char.sum(&:to_i) % 3 == 0
  end

  def slug
    name.parameterize
  end

  def to_h
    { name: name, slug: slug, price: price, tags: tags }
  end
end

class Catalogue
  PRODUCTS = Array.new(400) { |number| Product.new(number) }

  def search(word)
    PRODUCTS.select { |product| product.tags.any? { |tag| tag.include?(word) } }.sort_by { |product| [product.price, product.name] }
  end

  def cheapest
    return PRODUCTS.min_by(40) { |product| product.price } if AFTER

    PRODUCTS.sort { |one, other| one.price <=> other.price }.first(40)
  end
end

class Page
  LIST = ERB.new(<<~HTML)
    <ul><% products.each do |product| %>
      <li><%= ERB::Util.html_escape(product.name.titleize) %>, <%= ActiveSupport::NumberHelper.number_to_delimited(product.price) %></li><% end %></ul>
  HTML

  def initialize(products)
    @products = products
  end

  attr_reader :products

  def render
    LIST.result(binding)
  end
end

class Shop
  def call(env)
    case env["PATH_INFO"]
    when "/search" then json(Catalogue.new.search("tag1"))
    when "/cheap" then html(Catalogue.new.cheapest)
    else fingerprint(env)
    end
  end

  def json(products)
    rows = products.map(&:to_h)
    body = AFTER ? JSON.generate(rows) : rows.to_json
    [200, { "Content-Type" => "application/json" }, [body]]
  end

  def html(products)
    [200, { "Content-Type" => "text/html" }, [Page.new(products).render]]
  end

  def fingerprint(env)
    digests = 300.times.map { |round| Digest::SHA256.hexdigest(env["PATH_INFO"] * round) }
    [200, { "Content-Type" => "text/plain" }, [digests.uniq.join]]
  end
end

AFTER = ARGV.first == "after"
application = Rack::Builder.new do
  use Rack::Runtime
  use Rack::ConditionalGet
  use Rack::ETag
  use Rack::Head
  use Rack::Deflater
  run Shop.new
end.to_app
browser = Rack::MockRequest.new(application)

visit = proc do
  browser.get("/search", "HTTP_ACCEPT_ENCODING" => "gzip")
  browser.get("/cheap", "HTTP_ACCEPT_ENCODING" => "gzip")
  browser.get("/about", "HTTP_ACCEPT_ENCODING" => "gzip")
end
3.times(&visit)
recorded = StackProf.run(mode: :wall, interval: 1000, raw: true, aggregate: false) { 20.times(&visit) }
here = /\A(#{Regexp.escape(__dir__)}\/)?shop\.rb\z/
recorded[:frames].each_value { |frame| frame[:file] = "/srv/shop/app/shop.rb" if here.match?(frame[:file]) }
puts JSON.generate(recorded, max_nesting: false)
